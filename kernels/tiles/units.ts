// The matrix units of an adapter (tensor cores, cooperative matrices), and whether kernels made of tiles can use them.
import type { Backend } from "../../engine/index.ts";

/** A shape of matrix unit, as `GPUAdapterInfo.subgroupMatrixConfigs` lists them: M x K by K x N. */
export interface MatrixShape {
  componentType: string;
  resultComponentType: string;
  M: number;
  N: number;
  K: number;
}

/** WGSL extension of the units. */
export const unitsEnable = "chromium_experimental_subgroup_matrix";
/** What kernels of tiles need of the language besides. */
const language = "subgroup_id";

const found = new WeakMap<GPUDevice, MatrixShape | null>();

/**
 * The units with f16 operands and f32 results, as sums in f16 overflow on real models: 16x16x16 where there are such, else the
 * largest. Null where an engine has none that kernels can use: sizes are multiples of 8, as what lies in memory is loaded by 16
 * bytes, and a step of 32 terms is whole units.
 */
export function matrixUnits({ device, adapterInfo, language: known, lanes }: Backend): MatrixShape | null {
  if (!lanes.subgroups || !device.features.has("chromium-experimental-subgroup-matrix" as GPUFeatureName))
    return null;
  let units = found.get(device);
  if (units === undefined) {
    const { subgroupMatrixConfigs } = adapterInfo as { subgroupMatrixConfigs?: Iterable<MatrixShape> };
    const fits = ({ componentType, resultComponentType, M, N, K }: MatrixShape) =>
      componentType === "f16" &&
      resultComponentType === "f32" &&
      M % 8 === 0 &&
      N % 8 === 0 &&
      32 % K === 0 &&
      K >= 8;
    const worth = ({ M, N, K }: MatrixShape) =>
      M === 16 && N === 16 && K === 16 ? Number.POSITIVE_INFINITY : M * N * K;
    units = [...(subgroupMatrixConfigs ?? [])].filter(fits).sort((a, b) => worth(b) - worth(a))[0] ?? null;
    found.set(device, units);
  }
  return known.has(language) ? units : null;
}

/** Constants of tiles.wgsl: the units, and bytes of workgroup memory. */
export const unitConstants = ({ M, N, K }: MatrixShape, memory: number) => ({
  ...{ MATRIX_M: M, MATRIX_N: N, MATRIX_K: K },
  MEMORY: memory,
});
