// The device that an engine computes on: the features and limits that it asks for, and how kernels run there.

import { type AdapterOptions, findAdapter } from "./adapter.ts";
import type { Lanes } from "./kernel.ts";

/** An engine's device, and how it came to it. */
export interface OpenDevice {
  device: GPUDevice;
  info: GPUAdapterInfo;
  /** WGSL's language features here; none where nobody can say, as of a caller's device in Node. */
  language: ReadonlySet<string>;
}

export interface LaneOptions {
  /** Let several narrow subgroups share a row, as wide ones do. For tests and comparisons. */
  wideRows?: boolean;
  /** Lanes of the shared-memory variants, a power of two; 32 unless told. For tests: it stands for subgroups of 64. */
  sharedLanes?: number;
  /** Workgroups in x of a linear grid, for tests: small grids then fold as large ones do. */
  gridX?: number;
}

export interface DeviceOptions extends AdapterOptions {
  /** Use this device; the engine then never destroys it. */
  device?: GPUDevice;
  /** Features that the engine's own device goes without, though the adapter has them. For tests and comparisons. */
  without?: readonly string[];
}

/** The features that the engine asks for, each with those that a device gets along with it. */
export const wantedFeatures: Readonly<Record<string, readonly string[]>> = {
  "shader-f16": [],
  subgroups: [],
  "timestamp-query": [],
  "subgroup-size-control": ["subgroups"],
  // Behind Dawn's switch allow_unsafe_apis.
  "chromium-experimental-subgroup-matrix": ["subgroups"],
};
/** Lanes of the shared-memory fallback, and of subgroups where there is a choice. */
const usualLanes = 32;

/** The caller's device, or one of the best adapter with all its limits. Throws DeviceError where there is no adapter. */
export async function openDevice(options: DeviceOptions): Promise<OpenDevice> {
  const { device } = options;
  if (device) return { device, info: device.adapterInfo, language: languageOf(null) };
  const { adapter, instance } = await findAdapter(options);
  const { limits } = adapter;
  return {
    device: await adapter.requestDevice({
      requiredFeatures: featuresOf(adapter, options.without),
      requiredLimits: {
        maxBufferSize: limits.maxBufferSize,
        maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
        maxStorageBuffersPerShaderStage: limits.maxStorageBuffersPerShaderStage,
        maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
        maxComputeInvocationsPerWorkgroup: limits.maxComputeInvocationsPerWorkgroup,
        maxComputeWorkgroupSizeX: limits.maxComputeWorkgroupSizeX,
      },
    }),
    info: adapter.info,
    language: languageOf(instance),
  };
}

function languageOf(instance: GPU | null): ReadonlySet<string> {
  const gpu = instance ?? (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  return gpu?.wgslLanguageFeatures ?? new Set();
}

/** The wanted features that an adapter has, except those in `without` and what would bring them along. */
function featuresOf({ features }: GPUAdapter, without: readonly string[] = []): GPUFeatureName[] {
  const names = Object.keys(wantedFeatures) as GPUFeatureName[];
  return names.filter(
    (name) => features.has(name) && ![name, ...wantedFeatures[name]!].some((one) => without.includes(one)),
  );
}

/** One line that names the adapter. */
export function nameOf({ description, device, vendor, architecture }: GPUAdapterInfo): string {
  return description || device || `${vendor} ${architecture}`.trim() || "unknown adapter";
}

/** Whether the adapter is the processor itself. */
export function isSoftware(info: GPUAdapterInfo): boolean {
  return info.isFallbackAdapter || /llvmpipe|swiftshader/i.test(nameOf(info));
}

/**
 * Subgroups where their size is one known power of two, or where kernels can ask for one; else shared memory. Of several
 * sizes, `usualLanes` if it is among them.
 */
export function chooseLanes({ device, info }: OpenDevice, options: LaneOptions): Lanes {
  const { subgroupMinSize: min, subgroupMaxSize: max } = info;
  const { gridX } = options;
  const sized = min !== max && device.features.has("subgroup-size-control" as GPUFeatureName);
  if (device.features.has("subgroups") && max !== undefined && min >= 4 && (min === max || sized)) {
    return { subgroups: true, count: Math.min(max, Math.max(min, usualLanes)), sized, gridX };
  }
  return { subgroups: false, count: options.sharedLanes ?? usualLanes, gridX };
}

/** How many groups of lanes a workgroup may have for one row: one where lanes are few, as those are a CPU's vectors. */
export function chooseRowGroups({ device }: OpenDevice, { count }: Lanes, options: LaneOptions): number {
  const { maxComputeInvocationsPerWorkgroup } = device.limits;
  const together = count > 8 || options.wideRows ? Math.min(256, maxComputeInvocationsPerWorkgroup) : 0;
  return Math.max(1, Math.floor(together / count));
}
