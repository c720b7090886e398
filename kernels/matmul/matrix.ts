// Matrix products on matrix units: their kernels, and how they cover a product. They are variants like the others (variants.ts) once
// `useMatrixUnits` has brought them.
import { kernelsIn } from "../lib/kernels-in.ts";
import { load, multiply, store } from "../tiles/text.ts";
import tilesSource from "../tiles/tiles.wgsl?raw";
import { type MatrixShape, matrixUnits, unitConstants, unitsEnable } from "../tiles/units.ts";
import matrixSource from "./matrix.wgsl?raw";
import directSource from "./matrix-direct.wgsl?raw";
import stagedSource from "./matrix-staged.wgsl?raw";
import {
  bringVariants,
  type Form,
  loading,
  productKernels,
  type UnitName,
  unpacking,
  type Variant,
} from "./variants.ts";

/** WGSL that loads eight f16 in a row, of what has no more than `left`, as words of two. */
function loadingEights(side: "A" | "B", quads: string | null): string {
  if (!quads)
    return `fn eightOf${side}(at: u32, left: u32) -> vec4u {
  return ${side.toLowerCase()}[at / 8u];
}`;
  return `${quads}
fn eightOf${side}(at: u32, left: u32) -> vec4u {
  let low = load${side}(at, left);
  let high = load${side}(at + 4u, left - min(left, 4u));
  return vec4u(pair(low.xy), pair(low.zw), pair(high.xy), pair(high.zw));
}`;
}

const eightsForm: Form = {
  ...{ whole: 8, operand: "vec4u", all: true },
  loads: (odd, bits) => [
    loadingEights("A", odd ? loading("loadA", "a", odd) : null),
    loadingEights("B", bits ? unpacking(bits) : odd ? loading("loadB", "b", odd) : null),
  ],
};

/** Matrix units load by themselves. */
const matricesForm: Form = { whole: 8, operand: "vec4u", all: false, loads: () => [] };

/** WGSL of what goes by the number of units that a subgroup has each way: loads from `from`, products, epilogue. */
/* @__NO_SIDE_EFFECTS__ */
function unitWords(units: number, direct: boolean): string {
  const rows = Array.from({ length: units }, (_, i) => i);
  const place = (i: number, [extent, size, to]: readonly [string, string, string]) =>
    direct
      ? `at + min(line + ${i}u * ${size}, params.${extent} - ${size}) * select(params.k, 1u, ${to})`
      : `at + ${i}u * ${size} * ${extent === "m" ? "ROW" : "COLUMN"}`;
  const sides = { a: ["m", "MATRIX_M", "TRANS_A"], b: ["n", "MATRIX_N", "!TRANS_B"] } as const;
  const finish = (name: string, what: string, all: number, columns: number, lines: (i: number) => string) => `
@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn ${name} {
${rows.map((i) => `  ${what}${i}(sums, mine);\n  workgroupBarrier();\n  ${lines(i)}\n  workgroupBarrier();`).join("\n")}
}
${rows.map((i) => store(`${what}${i}`, all, i * columns, columns, { stride: "LINE" })).join("\n")}`;
  return [
    `const UNITS = ${units}u;`,
    load("leftsOf", "Left", units, (i) => place(i, sides.a), {
      columns: "TRANS_A",
      stride: direct ? "select(params.k, params.m, TRANS_A)" : "STRIDE_A",
      ...(direct && { memory: { array: "&a", per: 8 } }),
    }),
    load("rightsOf", "Right", units, (i) => place(i, sides.b), {
      columns: "TRANS_B",
      stride: direct ? "select(params.n, params.k, TRANS_B)" : "STRIDE_B",
      ...(direct && { memory: { array: "&b", per: 8 } }),
    }),
    multiply("multiplyUnits", units, units),
    multiply("multiplyOnes", units, 1),
    finish(
      "finishUnits(tile: Tile, sums: ptr<function, Sums>, mine: u32, lane: u32, row: u32, column: u32)",
      "storeUnits",
      units * units,
      units,
      (i) => `finishRow(tile, mine, lane, row + ${i}u * MATRIX_M, column);`,
    ),
    finish(
      "finishTotals(tile: Tile, sums: ptr<function, Totals>, subgroup: u32, mine: u32, lane: u32, row: u32)",
      "storeTotals",
      units,
      1,
      (i) => `finishTotal(tile, mine, subgroup, lane, row + ${i}u * MATRIX_M);`,
    ),
  ].join("\n");
}

/* @__NO_SIDE_EFFECTS__ */
function unitKernels(name: string, units: number, direct: boolean) {
  return productKernels(
    name,
    matrixSource,
    direct ? matricesForm : eightsForm,
    [{ subgroups: tilesSource, shared: "" }, unitWords(units, direct), direct ? directSource : stagedSource],
    [unitsEnable],
  );
}

/**
 * 2 x 2 subgroups by so many units each way, which come through workgroup memory or, with `direct`, straight from storage.
 * With four units of 16 a subgroup multiplies 16 times for each byte that it loads, with two 8 times.
 */
/* @__NO_SIDE_EFFECTS__ */
function matrixVariant(name: string, units: number, direct: boolean): Variant {
  const tileOf = ({ M, N }: MatrixShape) => [2 * units * M, 2 * units * N] as const;
  /** Of workgroup memory: two steps of 32 terms, whichever way an operand is stored, or a row of units of each subgroup. */
  const bytesOf = (shape: MatrixShape) => {
    const lines = 4 * shape.M * (units * shape.N + 4) * 4;
    const operand = (extent: number) => Math.max(extent * (32 + 8), 32 * (extent + 8)) * 2;
    const [rows, columns] = tileOf(shape);
    return direct ? lines : Math.max(lines, 2 * (operand(rows) + operand(columns)));
  };
  return {
    kernels: unitKernels(name, units, direct),
    constants: (engine) => {
      const shape = matrixUnits(engine)!;
      return unitConstants(shape, bytesOf(shape));
    },
    tile: (engine) => tileOf(matrixUnits(engine)!),
    // Steps are whole.
    depth: 32,
    runs: (engine, dtype) => {
      const shape = dtype === "f16" ? matrixUnits(engine) : null;
      const { limits } = engine.device;
      const invocations = 4 * engine.lanes.count;
      return (
        shape !== null &&
        limits.maxComputeInvocationsPerWorkgroup >= invocations &&
        limits.maxComputeWorkgroupSizeX >= invocations &&
        limits.maxComputeWorkgroupStorageSize >= bytesOf(shape)
      );
    },
    fits: (engine, { m, n, k }, packed) => {
      if (!direct) return true;
      const { M, N, K } = matrixUnits(engine)!;
      return !packed && m % M === 0 && n % N === 0 && k % K === 0;
    },
  };
}

const unitVariants = {
  matrix: matrixVariant("matrix", 4, false),
  "matrix-small": matrixVariant("matrix-small", 2, false),
  "matrix-direct": matrixVariant("matrix-direct", 4, true),
} satisfies Record<UnitName, Variant>;

export const matrixKernels = kernelsIn(() =>
  Object.values(unitVariants).flatMap(({ kernels }) => kernels.all),
);

/**
 * From now on `Engine.tune` tries products on an adapter's matrix units (tensor cores) too, where it has such; without, an app's
 * bundle leaves their text out. The rule never takes them first, as they were never timed.
 */
export function useMatrixUnits(): void {
  bringVariants(unitVariants);
}
