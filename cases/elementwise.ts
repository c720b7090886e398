// Which cases of the elementwise operations there are: every function, and broadcasting on both sides of what the kernel branches
// on (one long vector, groups of four, single elements, one to four dimensions).
import { div, less, mul, sub, where } from "../kernels/elementwise/arithmetic.ts";
import { accumulateCase, clampCase } from "./accumulate.ts";
import {
  binaryAtAllSizes,
  binaryAtTies,
  binaryCase,
  binaryOps,
  detachCase,
  integerCase,
  integerOps,
  masks,
  whereCase,
  withNumber,
} from "./arithmetic.ts";
import type { Draw, OpCase } from "./case.ts";
import { castCase, integerCastCase, packHalvesCase, unpackHalvesCase } from "./cast.ts";
import { halves, magnitudes, signs } from "./draws.ts";
import { everyWhole } from "./integers.ts";
import { unaryAtAllSizes, unaryAtKinks, unaryCase, unaryOps } from "./unary.ts";

export const elementwiseCases: OpCase[] = [
  // What functions share, the way over their elements, is one template: a few take it at all sizes.
  ...["exp", "gelu", "relu", "clamp"].flatMap((op) => [unaryCase(op, [7, 13]), unaryCase(op, [])]),
  unaryCase("exp", [3, 0]),
  ...Object.keys(unaryOps).flatMap((op) => [
    unaryCase(op, [3, 2, 700]),
    unaryCase(op, [5, 9], "f16"),
    unaryAtAllSizes(op),
    ...unaryAtKinks(op, "f32"),
    ...unaryAtKinks(op, "f16"),
  ]),
  // Numbers whose turns come from the first words of 2 / pi, from later ones, and from the last.
  ...["sin", "cos"].flatMap((op) =>
    (
      [
        [-1, 25],
        [25, 57],
        [57, 127],
      ] as const
    ).map(([low, high]) => ({
      ...unaryCase(op, [7, 60]),
      name: `${op} 7x60 f32 of 2^${low} to 2^${high}`,
      inputs: [{ name: "x", shape: [7, 60], draw: magnitudes([low, high]) }],
      differences: false,
    })),
  ),
  {
    ...binaryCase("pow", [7, 60], [7, 60]),
    name: "pow 7x60 f32 of 2^-40 to 2^40",
    inputs: [
      { name: "a", shape: [7, 60], draw: magnitudes([-40, 40], true) },
      { name: "b", shape: [7, 60], draw: magnitudes([-1, 1.5]) },
    ],
    gradients: undefined,
    each: true,
    tolerance: 1.5e-6,
  },
  unaryCase("gelu", [577, 3072], "f32", true),
  unaryCase("gelu", [577, 3072], "f16", true),
  ...["add", "div", "maximum"].flatMap((op) => [
    binaryCase(op, [5, 12], [12]),
    binaryCase(op, [0, 3], [3]),
    binaryCase(op, [2, 1], [2, 0]),
    binaryCase(op, [2, 1, 3, 1, 2, 1], [1, 3, 1, 2, 1, 5]),
    binaryCase(op, [12], [5, 12]),
    binaryCase(op, [5, 7], [7]),
    binaryCase(op, [5, 7], [5, 1]),
    binaryCase(op, [5, 8], [5, 1]),
    binaryCase(op, [9, 5], []),
    binaryCase(op, [4, 1], [1, 6]),
    binaryCase(op, [2, 1, 4, 8], [3, 1, 8]),
    binaryCase(op, [2, 3, 1, 1], [1, 1, 4, 6]),
    binaryCase(op, [3, 2, 8], [8], "f16"),
  ]),
  ...Object.keys(binaryOps).flatMap((op) => [
    binaryCase(op, [6, 7], [6, 7]),
    binaryCase(op, [2, 3, 4, 5], [3, 1, 5]),
    binaryCase(op, [3, 7], [3, 1], "f16"),
    binaryAtAllSizes(op),
  ]),
  ...Object.entries({ ...binaryOps, ...masks }).flatMap(([op, { ties, slopes }]) =>
    ties || !slopes ? [binaryAtTies(op, ties ?? signs, "f32"), binaryAtTies(op, ties ?? halves, "f16")] : [],
  ),
  ...Object.keys(masks).flatMap((op) => [
    binaryCase(op, [6, 7], [6, 7]),
    binaryCase(op, [5, 7], [5, 1]),
    binaryCase(op, [], []),
    binaryCase(op, [2, 3, 4, 5], [3, 1, 5], "f16"),
  ]),
  {
    // Whole multiples among them, of both signs.
    ...binaryCase("mod", [9, 12], [12]),
    name: "mod of whole numbers 9x12,12 f32",
    inputs: [
      { name: "a", shape: [9, 12], draw: { from: -6, below: 7 } },
      {
        name: "b",
        shape: [12],
        draw: { at: (i: number) => [1, -1, 2, -2, 3, -3, 0.5, -0.5, 4, 5, -4, -6][i % 12]! },
      },
    ],
    differences: false,
  },
  {
    ...binaryCase("pow", [7, 11], [7, 11]),
    name: "pow 7x11 f32 of whole numbers",
    // No logarithm of what is not positive: the exponent's gradient is not asked for.
    inputs: [
      { name: "a", shape: [7, 11] },
      { name: "b", shape: [7, 11], draw: { from: -3, below: 4 }, grad: false },
    ],
    gradients: ([x, y], dy) => [x!.map((at, i) => dy[i]! * y![i]! * at ** (y![i]! - 1)), null],
  },
  ...(["f32", "f16"] as const).flatMap((dtype) => [
    withNumber(
      "sub from",
      dtype,
      (x) => sub(1.5, x),
      (x) => [1.5 - x, -1],
    ),
    withNumber(
      "div of",
      dtype,
      (x) => div(0.75, x),
      (x) => [0.75 / x, -0.75 / (x * x)],
    ),
    withNumber(
      "mul by",
      dtype,
      (x) => mul(x, -2.5),
      (x) => [-2.5 * x, -2.5],
    ),
    withNumber(
      "where or",
      dtype,
      (x) => where(less(x, 0.5), x, 0.25),
      (x) => [x < 0.5 ? x : 0.25, x < 0.5 ? 1 : 0],
    ),
  ]),
  ...(["f32", "f16", "u32", "i32"] as const).flatMap((dtype) => [
    whereCase(
      [
        [5, 8],
        [5, 8],
        [5, 8],
      ],
      dtype,
    ),
    whereCase([[5, 1], [7], [5, 7]], dtype),
    whereCase([[3, 1, 4], [2, 1, 1, 1], []], dtype),
    whereCase([[], [6, 7], [6, 7]], dtype),
    whereCase([[1], [], []], dtype),
    whereCase([[700, 3], [700, 1], [3]], dtype),
  ]),
  ...(["u32", "i32"] as const).flatMap((dtype) =>
    Object.keys(integerOps).flatMap((op) => [
      integerCase(op, [7, 300], [7, 300], dtype),
      integerCase(op, [9, 40], [9, 1], dtype, true),
      ...(op === "sub"
        ? [
            integerCase(op, [5, 7], [7], dtype),
            integerCase(op, [2, 3, 1, 4], [3, 5, 1], dtype),
            integerCase(op, [], [1], dtype),
          ]
        : []),
    ]),
  ),
  ...(["u32", "i32"] as const).flatMap((dtype) => {
    const all = everyWhole(dtype);
    const beyond: Draw = { at: (i, drawn) => drawn * 2 ** (i % 35) };
    return [
      integerCastCase([7, 300], dtype, "f32", all),
      integerCastCase([7, 13], dtype, "f16", { from: dtype === "i32" ? -65000 : 0, below: 65000 }),
      integerCastCase([7, 300], "f32", dtype, beyond),
      integerCastCase([7, 13], "f16", dtype, { at: (i, drawn) => drawn * 2 ** (i % 14) }),
      integerCastCase([5, 7], dtype, dtype === "u32" ? "i32" : "u32", all),
    ];
  }),
  detachCase([5, 7]),
  binaryCase("add", [300, 1000], [1000]),
  // Beside a repeated dimension one of two elements that is not.
  binaryCase("mul", [3, 2, 5], [2, 1]),
  binaryCase("mul", [577, 3072], [577, 3072], "f32", true),
  binaryCase("add", [577, 3072], [3072], "f32", true),
  castCase([7, 13], "f32", "f16"),
  castCase([7, 13], "f16", "f32"),
  castCase([3, 1000], "f32", "f16"),
  castCase([3, 1000], "f16", "f32"),
  castCase([577, 3072], "f32", "f16", true),
  castCase([577, 3072], "f16", "f32", true),
  packHalvesCase([7, 12], "normal"),
  packHalvesCase([3, 1002], "normal"),
  // From the least normal number to far beyond the largest.
  packHalvesCase([5, 202], magnitudes([-14, 22])),
  unpackHalvesCase([3, 14]),
  unpackHalvesCase([5, 900]),
  unpackHalvesCase([5, 90], "f16"),
  clampCase(91, 7),
  clampCase(2803, 2799),
  accumulateCase(11, 6),
  accumulateCase(3003, 2998),
  accumulateCase(17, 13, "f16"),
  accumulateCase(3003, 2997, "f32", "f16"),
];
