// Between dtypes: where a network computes in f16, its weights' masters, its embeddings and its loss do not; masks and
// counts become numbers, and numbers whole ones.
import { type DType, type Tensor, TensorError } from "../../engine/index.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { conversions, librariesOf } from "../lib/library.ts";
import { defineMap, runMap } from "./map.ts";
import { type Kind, kindOf } from "./strided.ts";
import { Symbolic, symbolOf } from "./symbol.ts";

const copy = { operands: ["x"], value: "x", flops: 0, partial: true };
const narrow = defineMap({ name: "cast-f16", ...copy, from: "vec4f" });
const widen = defineMap({ name: "cast-f32", ...copy, to: "vec4f" });

/** What is computed between the kinds of both sides, where these differ. Integers are rounded to f32 once, from two exact halves. */
const values = {
  "u32 float": "fromWords(x)",
  "i32 float": "fromIntegers(x)",
  "float u32": "toWords(x)",
  "float i32": "toIntegers(x)",
  "u32 i32": "vec4i(x)",
  "i32 u32": "vec4u(x)",
} as const;
type Between = keyof typeof values;
const quads = { float: "Vec", u32: "vec4u", i32: "vec4i" } as const;

/* @__NO_SIDE_EFFECTS__ */
function define(between: Between) {
  const [from, to] = between.split(" ") as [Kind, Kind];
  const value = values[between];
  return defineMap({
    name: `cast-${from}-${to}`,
    ...copy,
    value,
    includes: librariesOf(value, [conversions]),
    from: quads[from],
    to: quads[to],
  });
}
const kernels = {
  "u32 float": define("u32 float"),
  "i32 float": define("i32 float"),
  "float u32": define("float u32"),
  "float i32": define("float i32"),
  "u32 i32": define("u32 i32"),
  "i32 u32": define("i32 u32"),
};

export const castKernels = kernelsIn(() => [narrow, widen, ...Object.values(kernels)]);

/**
 * Overwrites `to` with `from` in its dtype, as `cast` has it; not recorded. They are of the same size, one f32 and the other
 * f16. Throws TensorError where they don't fit.
 */
export function castInto(from: Tensor, to: Tensor): void {
  const dtypes = `${from.dtype} ${to.dtype}`;
  if ((dtypes !== "f32 f16" && dtypes !== "f16 f32") || from.size !== to.size)
    throw new TensorError(`cast: ${from} does not fit ${to}.`);
  runMap(to.dtype === "f16" ? narrow : widen, [from], to, {}, "f16");
}

/** Floats in a dtype of floats, `x` itself where it is that already; not recorded. */
export function floatsIn(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const y = x.engine.empty(x.shape, dtype);
  castInto(x, y);
  return y;
}

/**
 * `x` in another dtype; `x` itself where it is that already. To f16 and from integers to the nearest number, of two the
 * even one; beyond 65504 an f16 is infinite, below 6e-8 zero. To integers toward zero, to the nearest there is where that is
 * beyond their range, and NaN to 0. Between u32 and i32 the bits stay. Gradients go between f32 and f16 alone.
 */
export function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x;
  const { engine, shape } = x;
  const between = `${kindOf(x.dtype)} ${kindOf(dtype)}`;
  if (x instanceof Symbolic) {
    const value = values[between as Between];
    const formula = { name: "cast", operands: { x }, work: [0, 0], uses: [conversions] };
    return symbolOf(
      { ...formula, ...(value ? { value } : { value: "x", gradients: { x: "dy" } }) },
      ...([engine, shape, dtype, x.dtype] as const),
    );
  }
  const kernel = kernels[between as Between];
  if (!kernel) return engine.record("cast", floatsIn(x, dtype), [x], (dy) => [floatsIn(dy, x.dtype)]);
  // What `Vec` holds in the kernel.
  const stored = x.dtype === "f16" || dtype === "f16" ? "f16" : "f32";
  return runMap(kernel, [x], engine.empty(shape, dtype), {}, stored);
}
