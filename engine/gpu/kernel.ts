// What a kernel is: a WGSL text, the bindings and parameters that its host side declares, and the constants that
// specialise it. Nothing here touches a device; engine/gpu/pipelines.ts compiles. That host and WGSL agree is checked
// by test/kernels-reflect.test.ts through wgsl_reflect.
import type { DType } from "../base/dtype.ts";
import type { Scalar } from "../base/scalar.ts";
import type { Launch } from "./work.ts";

/** A storage binding in order: @group(0) @binding(0), (1), … with the name used in the WGSL. */
export interface Binding {
  name: string;
  access: "read" | "read_write";
}

/**
 * Scalar fields of the uniform block `params`, in order; four bytes each. The WGSL declares it at @group(1) @binding(0);
 * `composeWgsl` puts it behind the tensors.
 */
export type ParamTypes = Readonly<Record<string, "u32" | "i32" | "f32">>;

/** WGSL that is put in front of a kernel; the second form has one text with subgroups and one without. */
export type Include = string | { subgroups: string; shared: string };

/** A hand-written kernel. */
export interface Kernel<P extends ParamTypes = ParamTypes> {
  name: string;
  source: string;
  includes: readonly Include[];
  bindings: readonly Binding[];
  params: P;
  /** Floating-point operations of a dispatch, as engine/gpu/work.ts counts them. */
  flops?(launch: Launch<P>): number;
  /** Bytes that a dispatch has to move, where that is not simply what its bindings hold. */
  bytes?(launch: Launch<P>): number;
  /** Inputs, read as `name[index]` only, whose place the output may take: an invocation reads of them what it writes. */
  inPlace: readonly string[];
  /** WGSL extensions beside f16 and subgroups. */
  enables: readonly string[];
}

/** Values for every parameter of a kernel. */
export type ParamValues<P extends ParamTypes> = { [K in keyof P]: number | Scalar };

/** Constants written into the WGSL in front of the kernel; a number becomes u32, a boolean bool. */
export type Constants = Readonly<Record<string, number | boolean>>;

/** Declares a kernel. `bindings` reads like the WGSL: "x" is read, "+y" is read and written. */
export function defineKernel<const P extends ParamTypes>(spec: {
  name: string;
  source: string;
  bindings: readonly string[];
  params?: P;
  inPlace?: readonly string[];
  includes?: readonly Include[];
  flops?: Kernel<NoInfer<P>>["flops"];
  bytes?: Kernel<NoInfer<P>>["bytes"];
  enables?: readonly string[];
}): Kernel<P> {
  return {
    name: spec.name,
    source: spec.source,
    includes: spec.includes ?? [],
    bindings: spec.bindings.map((binding) =>
      binding.startsWith("+")
        ? { name: binding.slice(1), access: "read_write" }
        : { name: binding, access: "read" },
    ),
    params: spec.params ?? ({} as P),
    ...(spec.flops && { flops: spec.flops }),
    ...(spec.bytes && { bytes: spec.bytes }),
    inPlace: spec.inPlace ?? [],
    enables: spec.enables ?? [],
  };
}

/** How an adapter runs kernels: subgroup operations of one known size, or shared memory. */
export interface Lanes {
  subgroups: boolean;
  /** Invocations that work together: the subgroup's size, or the workgroup's where there are no subgroups. */
  count: number;
  /** The adapter has subgroups of several sizes: kernels ask for `count`. */
  sized?: boolean;
}

/**
 * The full WGSL of a kernel: enables, aliases (`Scalar`, `Vec` of the tensor's dtype), LANES, the constants, the
 * includes, then the kernel.
 */
export function composeWgsl(kernel: Kernel, dtype: DType, constants: Constants, lanes: Lanes): string {
  const usesLanes = kernel.includes.some((include) => typeof include !== "string");
  const lines: string[] = kernel.enables.map((name) => `enable ${name};`);
  if (dtype === "f16") lines.push("enable f16;");
  const sized = usesLanes && lanes.subgroups && lanes.sized;
  if (usesLanes && lanes.subgroups) lines.push("enable subgroups;");
  if (sized) lines.push("enable subgroup_size_control;");
  lines.push(
    `alias Scalar = ${dtype};`,
    `alias Vec = vec4<${dtype}>;`,
    `const LANES: u32 = ${lanes.count}u;`,
    `const GRID_X: u32 = ${gridX}u;`,
  );
  for (const [name, value] of Object.entries(constants)) {
    lines.push(
      typeof value === "boolean" ? `const ${name}: bool = ${value};` : `const ${name}: u32 = ${value}u;`,
    );
  }
  for (const include of kernel.includes) {
    lines.push(typeof include === "string" ? include : lanes.subgroups ? include.subgroups : include.shared);
  }
  const { source } = kernel;
  lines.push(sized ? source.replace("@compute", "@compute @subgroup_size(LANES)") : source);
  // One group binds all that a dispatch needs: two take a third longer to encode.
  const params = `@group(0) @binding(${kernel.bindings.length})`;
  return lines.join("\n").replace("@group(1) @binding(0)", params);
}

/** Workgroups in x of a linear grid; kernels compute `wg.y * GRID_X + wg.x`. */
export const gridX = 32768;
