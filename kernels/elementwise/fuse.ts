// Functions of elements, put together of those in the tables, as one kernel for the value and one for the gradients: what is
// made on the way stays in registers, and backward makes it anew from the operands, which are all that is kept. The function is
// called with symbols in place of its tensors (symbol.ts), each time; a kernel is known by its text, so that calls of one kind
// share one.
import {
  type Backend,
  type DType,
  defineKernel,
  gradientDType,
  type Kernel,
  type ParamTypes,
  type Scalar,
  type Shape,
  sizeOf,
  Tensor,
  TensorError,
} from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks } from "../lib/items.ts";
import { type Library, librariesOf } from "../lib/library.ts";
import { perElement } from "../lib/work.ts";
import { sumTo } from "../reduce/reduce.ts";
import { floatsIn } from "./cast.ts";
import {
  addresses,
  addressing,
  broadcastStrides,
  type Dimension,
  joined,
  kindOf,
  layoutOf,
  mostDims,
  ones,
  wides,
} from "./strided.ts";
import { type Formula, Symbolic } from "./symbol.ts";

/** Operands that are read through strides: an offset into each is a component of a vector. */
const mostStrided = 4;
/** Words that a kernel's parameters have room for, beside where its grid begins. */
const mostWords = 56;

const quads = { f32: "vec4f", f16: "vec4<f16>", u32: "vec4u", i32: "vec4i" } as const;
const wideOf = (dtype: DType) => wides[kindOf(dtype)];

/** What a symbol stands for: an operand, or itself where it has a formula. */
const behind = (x: Tensor) => (x instanceof Symbolic && x.origin instanceof Tensor ? x.origin : x);
const formulaOf = (x: Tensor) => (x instanceof Symbolic && !(x.origin instanceof Tensor) ? x.origin : null);
/** The tensors that a formula is of, by their names in it. */
const termsOf = ({ operands }: Formula) =>
  Object.entries(operands).flatMap(([name, x]): [string, Tensor][] =>
    x instanceof Tensor ? [[name, behind(x)]] : [],
  );

/** What a symbol is made of: the operands, and what has a formula, each behind all that it is of. */
function partsOf(root: Tensor): { operands: Tensor[]; made: Tensor[] } {
  const [operands, made] = [new Set<Tensor>(), new Set<Tensor>()];
  const visit = (x: Tensor) => {
    if (operands.has(x) || made.has(x)) return;
    const formula = formulaOf(x);
    for (const [, term] of formula ? termsOf(formula) : []) visit(term);
    (formula ? made : operands).add(x);
  };
  visit(root);
  return { operands: [...operands], made: [...made] };
}

const kernels = new Map<string, Kernel>();

/** Names in a formula: parameters, operands, and what its gradients are of. */
const names = /(?<![.\w])(?:params\.(\w+)|(condition|dy|da|[abxy]))\b(?!\()|\bWide\b/g;

/** A kernel that is being written. */
class Writer {
  private readonly lines: string[] = [];
  private readonly locals = new Map<Tensor, string>();
  private readonly operands: Tensor[] = [];
  private readonly libraries = new Set<Library>();
  private readonly types: Record<string, "u32" | "i32" | "f32"> = {};
  private readonly values: Record<string, number | Scalar> = {};
  /** Of a formula's numbers the parameters. */
  private readonly numbers = new Map<Formula, Map<string, string>>();

  constructor(
    private readonly engine: Backend,
    private readonly shape: Shape,
  ) {}

  /** The name of four elements. */
  value(x: Tensor): string {
    let name = this.locals.get(x);
    if (name) return name;
    const formula = formulaOf(x);
    if (formula) name = this.line(x.dtype, this.inserted(formula, formula.value));
    else name = `r${this.operands.push(x) - 1}`;
    this.locals.set(x, name);
    return name;
  }

  /** Names of the gradients of those of `wanted` that have one, from the name of that of `root`. */
  gradients(root: Tensor, incoming: string, wanted: readonly Tensor[]): Map<Tensor, string> {
    const { made } = partsOf(root);
    const leading = new Set(wanted);
    for (const x of made) if (termsOf(formulaOf(x)!).some(([, term]) => leading.has(term))) leading.add(x);
    const sums = new Map([[root, incoming]]);
    for (const x of made.reverse()) {
      const dy = sums.get(x);
      if (!dy || !leading.has(x)) continue;
      const formula = formulaOf(x)!;
      const own = new Map<string, string>();
      const gradient = (name: string): string => {
        const known = own.get(name);
        if (known) return known;
        const line = this.line(
          x.dtype,
          this.inserted(formula, formula.gradients![name]!, (other) => {
            if (other === "dy") return dy;
            return other === "da" ? gradient("a") : this.value(x);
          }),
        );
        own.set(name, line);
        return line;
      };
      for (const [name, term] of termsOf(formula)) {
        if (!leading.has(term) || !formula.gradients?.[name]) continue;
        const earlier = sums.get(term);
        const one = gradient(name);
        sums.set(term, earlier ? this.line(x.dtype, `${earlier} + ${one}`) : one);
      }
    }
    return sums;
  }

  /** What was written as a kernel that stores values of these dtypes; null where a device has no room for all that it names. */
  finish(name: string, results: readonly { value: string; dtype: DType }[], flops: number): Finished | null {
    const { engine, operands, shape } = this;
    const size = sizeOf(shape);
    const strided = operands.filter((x) => x.size !== size && x.size !== 1);
    if (strided.length > mostStrided) return null;
    const strides = strided.map((x) => broadcastStrides(x.shape, shape));
    const dims = joined(shape, strides);
    if (dims.length > mostDims) return null;
    const layout = strided.length > 0 ? layoutFor(dims) : null;
    const types: ParamTypes = { count: "u32", ...this.types, ...layout?.params };
    const { maxStorageBuffersPerShaderStage: most } = engine.device.limits;
    if (operands.length + results.length > most || Object.keys(types).length > mostWords) return null;
    const inputs = operands.map((x, k) => reading(x, `x${k}`, size, layout, strided.indexOf(x)));
    const body = [
      ...(layout ? [`  let at = ${layout.vector ? "offsets" : "fourOffsets"}(i * 4u);`] : []),
      ...inputs.map(({ text }, k) => `  let r${k} = ${text};`),
      ...this.lines,
      ...results.map(({ value, dtype }, k) => `  y${k}[i] = ${quads[dtype]}(${value});`),
    ];
    const source = `fn make(i: u32) {\n${body.join("\n")}\n}`;
    const bindings = [
      ...inputs.map(({ type }, k) => `x${k}: ${type}` as const),
      ...results.map(({ dtype }, k) => `+y${k}: ${quads[dtype]}` as const),
    ];
    const key = [name, ...bindings, ...Object.entries(types), source].join();
    const kernel =
      kernels.get(key) ??
      defineKernel<ParamTypes>({
        ...{ name, source, bindings, params: types },
        // A bundle's form has where its tensors begin, too.
        bundles: Object.keys(types).length + bindings.length <= mostWords,
        includes: [
          eachSource,
          ...librariesOf(this.lines.join("\n"), [...this.libraries]),
          ...(layout ? [layout.wgsl] : []),
        ],
        // A result may lie where an operand does that is read as it is written.
        inPlace: inputs.flatMap(({ type }, k) => (type === quads[results[0]!.dtype] ? [`x${k}`] : [])),
        flops: perElement("y0", flops),
      });
    kernels.set(key, kernel);
    const dtypes = [...operands, ...results].map(({ dtype }) => dtype);
    const count = Math.ceil(size / 4);
    return (made) =>
      engine.run(kernel, {
        bind: [...operands, ...made],
        params: { count, ...this.values, ...layout?.values },
        grid: blocks(count),
        dtype: dtypes.includes("f16") ? "f16" : "f32",
        constants: layout?.constants,
      });
  }

  private line(dtype: DType, text: string): string {
    const name = `v${this.lines.length}`;
    this.lines.push(`  let ${name} = ${wideOf(dtype)}(${text});`);
    return name;
  }

  /** A text of a formula with names of this kernel; `of` says what y, dy and da are. */
  private inserted(formula: Formula, text: string, of: (name: string) => string = () => ""): string {
    const { operands, uses = [] } = formula;
    for (const library of uses) this.libraries.add(library);
    // Numbers are floats where all that is chosen between are numbers.
    const dtype = termsOf(formula).find(([name]) => name !== "condition")?.[1].dtype ?? "f32";
    return text.replace(names, (found, number: string | undefined, name: string | undefined) => {
      if (found === "Wide") return wideOf(dtype);
      if (number) return this.number(formula, number, formula.numbers![number]!, dtype);
      const operand = operands[name!];
      if (operand === undefined) return of(name!);
      if (operand instanceof Tensor) return this.value(behind(operand));
      return `${wideOf(dtype)}(${this.number(formula, name!, operand, dtype)})`;
    });
  }

  private number(formula: Formula, name: string, value: number | Scalar, dtype: DType): string {
    const own = this.numbers.get(formula) ?? new Map<string, string>();
    this.numbers.set(formula, own);
    let param = own.get(name);
    if (!param) {
      param = `n${Object.keys(this.types).length}`;
      own.set(name, param);
      this.types[param] = dtype === "u32" || dtype === "i32" ? dtype : "f32";
      this.values[param] = value;
    }
    return `params.${param}`;
  }
}

/** Runs a kernel that stores into these tensors. */
type Finished = (results: readonly Tensor[]) => void;

/** How operands that repeat along some dimensions are found. */
function layoutFor(dims: readonly Dimension[]) {
  // What repeats has two at least.
  const most = Math.max(2, dims.length);
  const inner = dims.at(-1)!;
  const own = inner.steps.map((_, k) => `s${k}`);
  return {
    ...addressing(own, false, most),
    values: addresses(dims, own, most),
    constants: layoutOf(dims),
    /** Four elements that follow one another are a vec4, or one that repeats. */
    vector: inner.size % 4 === 0,
    /** Which of them are the same number along the innermost dimension. */
    splat: inner.steps.map((step) => step === 0),
  };
}

/** The type of an operand's binding, and WGSL that reads its four elements beside four of the result. */
function reading(
  { size, dtype }: Tensor,
  name: string,
  whole: number,
  layout: ReturnType<typeof layoutFor> | null,
  strided: number,
): { type: string; text: string } {
  const one = ones[kindOf(dtype)];
  const single = (...at: string[]) =>
    `${wideOf(dtype)}(${at.map((index) => `${one}(${name}[${index}])`).join(", ")})`;
  const quad = (at: string) => ({ type: quads[dtype], text: `${wideOf(dtype)}(${name}[${at}])` });
  if (size === whole) return quad("i");
  if (size === 1) return { type: dtype, text: single("0") };
  const component = layout!.splat.length > 1 ? `.${"xyzw"[strided]}` : "";
  if (!layout!.vector)
    return { type: dtype, text: single(...["p", "q", "r", "s"].map((place) => `at.${place}${component}`)) };
  return layout!.splat[strided]
    ? { type: dtype, text: single(`at${component}`) }
    : quad(`at${component} / 4u`);
}

/** The names of what is computed, for profiles. */
function nameOf(made: readonly Tensor[]): string {
  const all = [...new Set(made.map((x) => formulaOf(x)!.name))];
  return ["fused", ...all.slice(0, 4), ...(all.length > 4 ? [`${all.length - 4}-more`] : [])].join("-");
}

/**
 * `fn`, which is put together of functions of elements, as one kernel, and its gradients as another: nothing is stored on the
 * way, where each function by itself would store its result. What `fn` gets for tensors has their shapes and dtypes and
 * no elements: the functions of one, two and three tensors take it (of integers what is an operator of WGSL's), with broadcasting,
 * numbers, and tensors from outside, which get gradients, too. Anything else throws TensorError. In f16 only
 * operands and result are rounded. `fn` is called at each call, and once more without symbols where a kernel has no room for
 * so many operands (six on every device) or dimensions that lie apart (eight): it must do nothing else. Throws TensorError where it returns no such result.
 */
/* @__NO_SIDE_EFFECTS__ */
export function fuse<A extends readonly unknown[]>(fn: (...args: A) => Tensor): (...args: A) => Tensor {
  return (...args) => {
    const tensors = args.filter((arg) => arg instanceof Tensor);
    // Within another one its formulas are part of that.
    if (tensors.some((x) => x instanceof Symbolic)) return fn(...args);
    const symbols = new Map(tensors.map((x) => [x, new Symbolic(x.engine, x.shape, x.dtype, x)] as const));
    const root = fn(...(args.map((arg) => symbols.get(arg as Tensor) ?? arg) as unknown as A));
    if (!(root instanceof Symbolic))
      throw new TensorError("fuse: the function must return what functions of elements make of its tensors.");
    return compute(behind(root), root) ?? fn(...args);
  };
}

/** The tensor that a symbol stands for; null where a device has no room for the kernels. */
function compute(root: Tensor, { engine, shape, dtype }: Symbolic): Tensor | null {
  const { operands, made } = partsOf(root);
  const work = (pick: (work: readonly number[]) => number) =>
    made.reduce((sum, x) => sum + pick(formulaOf(x)!.work), 0);
  const name = nameOf(made);
  const all = work((each) => each.reduce((a, b) => a + b, 0));
  const writer = new Writer(engine, shape);
  const run = writer.finish(
    name,
    [{ value: writer.value(root), dtype }],
    work(([value]) => value!),
  );
  // Of gradients at least one comes beside that of the result.
  const room = engine.device.limits.maxStorageBuffersPerShaderStage - operands.length - 1;
  if (!run || room < 1) return null;
  const y = engine.empty(shape, dtype);
  run([y]);
  const learnt = operands.filter(({ dtype }) => kindOf(dtype) === "float");
  // Where a cast made f16 wider, what is summed may have no room in it.
  const wide = [...operands, ...made].some(({ dtype }) => dtype === "f32");
  if (kindOf(dtype) !== "float") return y;
  return engine.record(name, y, learnt, (dy, needs) => {
    const found = new Map<Tensor, Tensor>();
    const wanted = learnt.filter((_, i) => needs[i]);
    for (let from = 0; from < wanted.length; from += room) {
      const writer = new Writer(engine, shape);
      const gradients = writer.gradients(root, writer.value(dy), wanted.slice(from, from + room));
      const results = wanted.slice(from, from + room).flatMap((x) => {
        const value = gradients.get(x);
        if (!value) return [];
        const whole = x.size === y.size;
        const dtype = whole ? gradientDType(x) : wide ? "f32" : x.dtype;
        const gradient = engine.empty(whole ? x.shape : shape, dtype);
        found.set(x, gradient);
        return [{ value, dtype, gradient }];
      });
      if (results.length > 0)
        writer.finish(`${name}-gradients`, results, all)!(results.map(({ gradient }) => gradient));
    }
    return learnt.map((x, i) => {
      if (!needs[i]) return null;
      const gradient = found.get(x);
      // Steps have none.
      if (!gradient) return engine.zeros(x.shape, x.dtype);
      const dtype = gradientDType(x);
      return floatsIn(sumTo(gradient, x.shape, 1, gradient.dtype === "f32" ? "f32" : dtype), dtype);
    });
  });
}
