// Cases of conversions: between dtypes, and of floats to halves that lie in words and back.
import type { DType } from "../engine/index.ts";
import { bitAnd, bitOr } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { packHalves, unpackHalves } from "../kernels/elementwise/halves.ts";
import { type Draw, type OpCase, roundToHalf } from "./case.ts";
import { wrapped } from "./integers.ts";

export function castCase(shape: number[], from: DType, to: DType, bench = false): OpCase {
  return {
    name: `cast ${shape.join("x")} to ${to} ${from}`,
    inputs: [{ name: "x", shape, dtype: from }],
    half: true,
    run: ([x]) => cast(x!, to),
    reference: ([x]) => x!.slice(),
    gradients: (_, dy) => [dy],
    // One side or the other has the 11 bits of f16, gradient and weights as well.
    tolerance: 2e-3,
    ...(bench ? { bench: { torch: { op: "cast", to } }, referenceAt: ([x], index) => x![index]! } : {}),
  };
}

/** Between integers and floats: to floats the nearest, to integers toward zero within their range. */
export function integerCastCase(shape: number[], from: DType, to: DType, draw: Draw): OpCase {
  const range = to === "u32" ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
  const floats = (dtype: DType) => dtype === "f32" || dtype === "f16";
  const toInteger = (x: number) =>
    floats(from) ? Math.min(Math.max(Math.trunc(x) || 0, range[0]!), range[1]!) : wrapped(to, x);
  return {
    name: `cast ${shape.join("x")} to ${to} ${from}`,
    inputs: [{ name: "x", shape, dtype: from, draw, grad: false }],
    ...(to === "f16" && { half: true }),
    run: ([x]) => cast(x!, to),
    reference: ([x]) =>
      x!.map(to === "f32" ? Math.fround : to === "f16" ? (at) => roundToHalf(Math.fround(at)) : toInteger),
    tolerance: 0,
  };
}

/** There and back, as how a number is rounded is left to the adapter: to either of its neighbours. */
export function packHalvesCase(shape: number[], draw: Draw): OpCase {
  return {
    name: `packHalves ${shape.join("x")}${draw === "normal" ? "" : " to beyond the largest"} f32`,
    inputs: [{ name: "x", shape, draw, grad: false }],
    run: ([x]) => unpackHalves(packHalves(x!), shape),
    reference: ([x]) => x!.map((value) => Math.min(Math.max(value, -65504), 65504)),
    tolerance: 2 ** -10,
    ...(draw !== "normal" && { each: true }),
  };
}

/** Any words, whose exponents are made odd and small, as WGSL leaves open what becomes of subnormals, infinity and NaN. */
export function unpackHalvesCase(shape: number[], dtype: "f32" | "f16" = "f32"): OpCase {
  const words = shape.reduce((a, b) => a * b, 1) / 2;
  return {
    name: `unpackHalves ${shape.join("x")}${dtype === "f16" ? " to f16" : ""}`,
    half: dtype === "f16",
    inputs: [{ name: "words", shape: [words], dtype: "u32", draw: { below: 2 ** 32 } }],
    run: ([drawn], engine) => {
      const word = (value: number) => engine.tensor(Uint32Array.of(value), [], "u32");
      const normal = bitOr(bitAnd(drawn!, word(0xbbff_bbff)), word(0x0400_0400));
      return unpackHalves(normal, shape, dtype);
    },
    reference: ([drawn]) => {
      const halves = new Uint16Array(Uint32Array.from(drawn!).buffer);
      return Float64Array.from(halves, (half) => {
        const exponent = ((half >> 10) & 0b01111) | 1;
        return (half >> 15 ? -1 : 1) * (1 + (half & 0x3ff) / 1024) * 2 ** (exponent - 15);
      });
    },
    each: true,
    tolerance: 1e-7,
  };
}
