// Runs one case of the op table and says what is wrong with it. Values and gradients come from the GPU and are held
// against float64 on the CPU; the gradients' formulas are themselves held against central differences of the float64
// result, so that a rule and its reference can't be wrong in the same way. No Node here: pages run this file too.
//
// Gradients are taken in the middle of a graph, z = w · op(x / 2) with 1.75 as the gradient of z: a rule that forgets
// its incoming gradient, or the graph around it, gives other numbers. Both factors are exact in f16.

import { defineKernel, type Engine, normal, propagate, type Scalar, Tensor } from "../engine/index.ts";
import { drawInputs, type Input, type OpCase, roundToHalf, toleranceOf } from "./case.ts";
import { sampleIndices, sampleSize, worstOf } from "./compare.ts";
import { allCases } from "./table.ts";

/**
 * Beyond this many operations a case takes too long with the fallback kernels or in a page. The bench checks it, as it
 * does all of its cases.
 */
const mostFlops = 4e9;
export const testedCases = allCases.filter(({ bench, flops = 0 }) => !bench || flops <= mostFlops);

/** What came of a case. */
export interface CaseResult {
  name: string;
  /** What is wrong, a line each; empty where the case passes. */
  failures: string[];
  /** Why the case could not run here, null where it did. */
  skipped: string | null;
  /** The largest relative errors: of the result, and of the gradient of each input that has one. */
  errors: Record<string, number>;
  /** The result and the gradients as the device gave them, under the same names as in `errors`. */
  outputs: Record<string, ArrayLike<number>>;
  /** The worst element of each output that is wrong. */
  wrong: WrongElement[];
}

/** An element that is further off than allowed. */
export interface WrongElement {
  /** As in `errors`. */
  output: string;
  /** Row-major. */
  index: number;
  got: number;
  /** What float64 says. */
  wanted: number;
}

/** z = values * factors, or values * factor where HAS_FACTORS is false. */
const multiplyKernel = defineKernel({
  name: "test-multiply",
  bindings: ["x: Scalar", "w: Scalar", "+y: Scalar"],
  params: { size: "u32", factor: "f32" },
  source: `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let i = (wg.y * GRID_X + wg.x) * 64u + id;
  if (i < params.size) {
    y[i] = Scalar(f32(x[i]) * select(params.factor, f32(w[i]), HAS_FACTORS));
  }
}`,
});

/** A recorded op of the test's own, so that no kernel under test checks itself: x times one number or a tensor. */
export function multiply(x: Tensor, by: number | Scalar | Tensor): Tensor {
  const { engine } = x;
  const times = (value: Tensor) => {
    const y = engine.empty(value.shape, value.dtype);
    engine.run(multiplyKernel, {
      bind: [value, by instanceof Tensor ? by : value, y],
      params: { size: value.size, factor: by instanceof Tensor ? 0 : by },
      grid: Math.ceil(value.size / 64),
      dtype: value.dtype,
      constants: { HAS_FACTORS: by instanceof Tensor },
    });
    return y;
  };
  return engine.record("multiply", times(x), [x], (dy) => [times(dy)]);
}

/** a + b, for `propagate`; a kernel of the test's own for the same reason. */
const addKernel = defineKernel({
  name: "test-add",
  bindings: ["a: Scalar", "b: Scalar", "+y: Scalar"],
  params: { size: "u32" },
  source: `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let i = (wg.y * GRID_X + wg.x) * 64u + id;
  if (i < params.size) {
    y[i] = Scalar(f32(a[i]) + f32(b[i]));
  }
}`,
});

/** The sum of two tensors, not recorded. */
export function addTensors(a: Tensor, b: Tensor): Tensor {
  const y = a.engine.empty(a.shape, a.dtype);
  a.engine.run(addKernel, {
    bind: [a, b, y],
    params: { size: a.size },
    grid: Math.ceil(a.size / 64),
    dtype: a.dtype,
  });
  return y;
}

const inputFactor = 0.5;
const outputFactor = 1.75;
const differenceTolerance = 1e-6;

/** What float64 says of a case. The result is kept, as tests run each case on several engines. */
interface Expected {
  values: Float64Array[];
  /** Null where only single elements can be asked for. */
  result: Float64Array | null;
  weights: Float64Array;
  /** Gradients of sum(weights · result), without the factors around the op. */
  gradients: (Float64Array | null)[] | null;
  failures: string[];
}

const expectations = new WeakMap<OpCase, Expected>();

/**
 * Records a case forward and backward without looking at what comes of it, on zeros. With this done for the whole
 * table first, all pipelines compile at once instead of one case after the other.
 */
export function recordCase(engine: Engine, opCase: OpCase): void {
  if (lackOf(engine, opCase)) return;
  engine.scope(() => {
    const tensors = opCase.inputs.map((input) => engine.zeros(input.shape, input.dtype));
    opCase.run(tensors, engine);
    if (!opCase.gradients) return;
    for (const [i, input] of opCase.inputs.entries()) {
      tensors[i]!.requiresGrad = carriesGradient(input);
      if (input.master) tensors[i]!.grad = engine.zeros(input.shape);
    }
    const output = opCase.run(tensors, engine);
    propagate(multiply(output, outputFactor), output, { add: addTensors, leaf() {} });
  });
}

/** What a case needs and the engine has not. */
export function lackOf(engine: Engine, opCase: OpCase): string | null {
  if (!engine.hasF16 && needsHalf(opCase)) return "the adapter has no f16";
  return opCase.lacks?.(engine) ?? null;
}

/** Runs a case forward and backward on an engine, which should be one with `poison`. */
export async function runCase(engine: Engine, opCase: OpCase): Promise<CaseResult> {
  const { name, inputs } = opCase;
  const result: CaseResult = { name, failures: [], skipped: null, errors: {}, outputs: {}, wrong: [] };
  const skipped = lackOf(engine, opCase);
  if (skipped) return { ...result, skipped };
  const usedBefore = engine.stats().usedBytes;
  const expected = expect(opCase);
  result.failures.push(...expected.failures);
  const tolerance = toleranceOf(opCase);
  const compare = (
    label: string,
    got: ArrayLike<number>,
    wanted: Float64Array,
    place = (index: number) => index,
  ) => {
    const { error, index } = worstOf(got, wanted, opCase.each);
    result.errors[label] = Math.max(result.errors[label] ?? 0, error);
    if (!(error <= tolerance)) {
      result.failures.push(`${label}: relative error ${error.toExponential(2)}, allowed ${tolerance}`);
      if (index >= 0)
        result.wrong.push({ output: label, index: place(index), got: got[index]!, wanted: wanted[index]! });
    }
  };

  const tensors = inputs.map((input, i) => engine.tensor(expected.values[i]!, input.shape, input.dtype));
  const output = engine.scope(() => opCase.run(tensors, engine));
  const values = await output.read();
  result.outputs.result = values;
  if (expected.result) {
    compare("result", values, expected.result);
  } else {
    const indices = sampleIndices(output.size);
    compare(
      "result",
      Float64Array.from(indices, (index) => values[index]!),
      Float64Array.from(indices, (index) => opCase.referenceAt!(expected.values, index)),
      (at) => indices[at]!,
    );
  }
  if (inputs.some((_, i) => output === tensors[i])) result.failures.push("the result is an input itself");
  else output.dispose();
  for (const [i, tensor] of tensors.entries()) {
    const after = await tensor.read();
    if (!after.every((value, j) => Object.is(value, expected.values[i]![j]))) {
      result.failures.push(`${inputs[i]!.name} was changed by the op`);
    }
    tensor.dispose();
  }

  if (expected.gradients) {
    const floating = inputs.flatMap((input, i) => (carriesGradient(input) ? [i] : []));
    // All inputs at once, then each alone: a rule may not lean on gradients that nobody asked for.
    const choices = floating.length > 1 ? [floating, ...floating.map((i) => [i])] : [floating];
    for (const chosen of choices) {
      const run = await runGradients(engine, opCase, expected, chosen);
      const alone = chosen.length < floating.length ? " alone" : "";
      result.failures.push(...run.failures.map((failure) => failure + alone));
      if (expected.result) compare(`result for gradients${alone}`, run.output, expected.result);
      for (const i of floating) {
        const wanted = expected.gradients[i];
        const got = run.gradients[i];
        const label = `gradient of ${inputs[i]!.name}${alone}`;
        if (!wanted || !chosen.includes(i)) {
          if (got) result.failures.push(`${label}: there should be none`);
          continue;
        }
        if (!got) {
          result.failures.push(`${label}: none came`);
          continue;
        }
        if (!alone) result.outputs[label] = got;
        compare(
          label,
          got,
          wanted.map((value) => factorOf(inputs[i]!) * outputFactor * value),
        );
      }
    }
  }
  const left = engine.stats().usedBytes - usedBefore;
  if (left !== 0) result.failures.push(`${left} bytes were not given back`);
  return result;
}

/** One run forward and backward with gradients for the `chosen` inputs. */
async function runGradients(engine: Engine, opCase: OpCase, expected: Expected, chosen: number[]) {
  const { inputs } = opCase;
  const failures: string[] = [];
  const tensors = inputs.map((input, i) => {
    const values = expected.values[i]!;
    const doubled = carriesGradient(input) ? values.map((value) => value / factorOf(input)) : values;
    const tensor = engine.tensor(doubled, input.shape, input.dtype);
    tensor.requiresGrad = chosen.includes(i);
    if (input.master) tensor.grad = engine.zeros(input.shape);
    return tensor;
  });
  const made = engine.scope(() => {
    const halved = tensors.map((tensor, i) =>
      factorOf(inputs[i]!) !== 1 ? multiply(tensor, inputFactor) : tensor,
    );
    const output = opCase.run(halved, engine);
    const weights = engine.tensor(expected.weights, output.shape, output.dtype);
    const weighted = multiply(output, weights);
    const factor = engine.tensor(
      new Float64Array(weighted.size).fill(outputFactor),
      output.shape,
      output.dtype,
    );
    const gradients: (Tensor | null)[] = inputs.map(() => null);
    propagate(weighted, factor, {
      add: addTensors,
      leaf(tensor, gradient) {
        const i = tensors.indexOf(tensor);
        if (gradient.shape.join() !== tensor.shape.join()) {
          failures.push(`gradient of ${inputs[i]!.name}: shape [${gradient.shape}], not [${tensor.shape}]`);
        }
        const dtype = inputs[i]!.master ? "f32" : tensor.dtype;
        if (gradient.dtype !== dtype) failures.push(`gradient of ${inputs[i]!.name}: ${gradient}`);
        gradients[i] = gradient;
      },
    });
    // Keys, because a scope keeps the tensors on one level of an object.
    return { output, ...Object.fromEntries(gradients.map((gradient, i) => [`${i}`, gradient])) } as {
      output: Tensor;
      [i: number]: Tensor | null;
    };
  });
  const output = await made.output.read();
  const gradients: (ArrayLike<number> | null)[] = [];
  for (const i of inputs.keys()) gradients.push(made[i] ? await made[i].read() : null);
  for (const tensor of [...tensors, made.output, ...inputs.map((_, i) => made[i])]) tensor?.dispose();
  for (const tensor of tensors) tensor.grad?.dispose();
  return { output, gradients, failures };
}

/** The float64 side of a case, and the check of its gradient formulas against central differences. */
function expect(opCase: OpCase): Expected {
  const known = expectations.get(opCase);
  if (known) return known;
  const values = drawInputs(opCase);
  const sampled = opCase.referenceAt !== undefined;
  const result = sampled ? null : opCase.reference(values);
  const expected: Expected = {
    values,
    result,
    weights: new Float64Array(0),
    gradients: null,
    failures: [],
  };
  if (opCase.gradients && result && !opCase.bench) {
    const half = opCase.inputs.some((input) => input.dtype === "f16");
    const weight = (i: number) => normal({ key: 77, stream: 0 }, i);
    expected.weights = Float64Array.from(result, (_, i) => (half ? roundToHalf : Math.fround)(weight(i)));
    expected.gradients = opCase.gradients(values, expected.weights);
    if (opCase.differences !== false)
      expected.failures = checkFormulas(opCase, expected.values, expected.weights, expected.gradients);
  }
  expectations.set(opCase, expected);
  return expected;
}

/** Compares the gradients' formulas with central differences along one random direction for each input. */
function checkFormulas(
  opCase: OpCase,
  values: Float64Array[],
  weights: Float64Array,
  gradients: (Float64Array | null)[],
): string[] {
  const failures: string[] = [];
  const loss = (at: Float64Array[]) =>
    opCase.reference(at).reduce((sum, value, i) => sum + weights[i]! * value, 0);
  opCase.inputs.forEach((input, i) => {
    const gradient = gradients[i];
    if (!gradient) return;
    const direction = values[i]!.map((_, j) => normal({ key: 99, stream: i }, j));
    const step = 1e-5;
    const moved = (sign: number) =>
      values.map((array, at) =>
        at === i ? array.map((value, j) => value + sign * step * direction[j]!) : array,
      );
    const numeric = (loss(moved(1)) - loss(moved(-1))) / (2 * step);
    const analytic = gradient.reduce((sum, value, j) => sum + value * direction[j]!, 0);
    const size = Math.hypot(Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0)), analytic);
    if (!(Math.abs(numeric - analytic) <= differenceTolerance * size)) {
      failures.push(
        `formula of the gradient of ${input.name}: ${analytic}, but central differences give ${numeric}`,
      );
    }
  });
  return failures;
}

/** What an input is multiplied by in front of the op; a parameter is a leaf, with nothing in front. */
function factorOf(input: Input): number {
  return carriesGradient(input) && !input.master ? inputFactor : 1;
}

function carriesGradient(input: Input): boolean {
  return input.grad !== false && (input.dtype ?? "f32").startsWith("f");
}

function needsHalf({ half, inputs }: OpCase): boolean {
  return half ?? inputs.some((input) => input.dtype === "f16");
}

/** A result whose large outputs are cut down to a sample. */
export function thinOut(result: CaseResult): CaseResult {
  const thin = (values: ArrayLike<number>) =>
    values.length <= 10 * sampleSize
      ? Array.from(values)
      : sampleIndices(values.length).map((index) => values[index]!);
  const outputs = Object.entries(result.outputs).map(([label, values]) => [label, thin(values)]);
  return { ...result, outputs: Object.fromEntries(outputs) };
}
