// What a kernel is: a WGSL text, the bindings and parameters that its host side declares, and the constants that
// specialise it. What the host declares the text does not repeat: its bindings and `params` are written in front of it.
// Nothing here touches a device; engine/gpu/pipelines.ts compiles.
import type { DType } from "../base/dtype.ts";
import type { Scalar } from "../base/scalar.ts";
import type { Shape } from "../base/shape.ts";

/** A tensor as the WGSL has it: the variable `name`, an array of `type`. */
export interface Binding {
  name: string;
  type: string;
  access: "read" | "read_write";
}

/** A tensor of a bundle's form. */
export interface Start {
  name: string;
  /** The binding that shows it. */
  through: string;
}

/** Scalar fields of the uniform block `params`, in order; four bytes each. */
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
  /**
   * Whether several dispatches may run as one (engine/run/bundle.ts): tensors are `name[index]`, inside of them where it is
   * written, no variable that is indexed has a tensor's name, `main` takes `@builtin(workgroup_id) wg: vec3u`, and workgroups in x
   * beyond those that it needs do nothing.
   */
  bundles: boolean;
  /** The tensors of a bundle's form: where each begins in the binding that it is seen through, the parameters say. */
  starts: readonly Start[] | null;
  /** WGSL extensions beside f16 and subgroups. */
  enables: readonly string[];
}

/** Values for every parameter of a kernel. */
export type ParamValues<P extends ParamTypes> = { [K in keyof P]: number | Scalar };

/** Constants written into the WGSL in front of the kernel; a number becomes u32, a boolean bool. */
export type Constants = Readonly<Record<string, number | boolean>>;

/** A tensor as a dispatch sees it. */
export interface Bound {
  name: string;
  shape: Shape;
  dtype: DType;
  /** Of its elements. */
  bytes: number;
  /** Whether an earlier binding of the dispatch is the same memory, which then counts once. */
  repeated: boolean;
}

/** One dispatch, as a kernel's own count of its work gets it. */
export interface Launch<P extends ParamTypes = ParamTypes> {
  params: { readonly [K in keyof P]: number };
  constants: Constants;
  /** Workgroups in x, y and z. */
  grid: readonly [number, number, number];
  bindings: readonly Bound[];
}

/**
 * How a kernel is declared. Of its bindings, "x: Vec" is read and "+y: f32" is read and written; the WGSL finds variables of
 * these names, arrays of these types, and the parameters in `params`.
 */
export interface KernelSpec<P extends ParamTypes> {
  name: string;
  source: string;
  bindings: readonly `${string}: ${string}`[];
  params?: P;
  inPlace?: readonly string[];
  bundles?: boolean;
  includes?: readonly Include[];
  /** Floating-point operations of a dispatch, for profiles; unknown unless told. */
  flops?: Kernel<NoInfer<P>>["flops"];
  /** Bytes that a dispatch has to move; what its bindings hold unless told. */
  bytes?: Kernel<NoInfer<P>>["bytes"];
  enables?: readonly string[];
}

/** Declares a kernel. */
/* @__NO_SIDE_EFFECTS__ */
export function defineKernel<const P extends ParamTypes>(spec: KernelSpec<P>): Kernel<P> {
  return {
    name: spec.name,
    source: spec.source,
    includes: spec.includes ?? [],
    bindings: spec.bindings.map((binding) => {
      const [, written, name, type] = /^(\+?)(\w+): (.+)$/.exec(binding)!;
      return { name: name!, type: type!, access: written ? "read_write" : "read" };
    }),
    params: spec.params ?? ({} as P),
    ...(spec.flops && { flops: spec.flops }),
    ...(spec.bytes && { bytes: spec.bytes }),
    inPlace: spec.inPlace ?? [],
    bundles: spec.bundles ?? false,
    starts: null,
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
  /** Workgroups in x of a linear grid; `gridX` unless told. */
  gridX?: number;
}

/** The full WGSL of a kernel. */
export function composeWgsl(kernel: Kernel, dtype: DType, constants: Constants, lanes: Lanes): string {
  return wgslParts(kernel, dtype, constants, lanes).join("\n");
}

/**
 * The texts that a kernel's WGSL is put together from: what is derived (enables, aliases `Scalar` and `Vec` of the
 * tensor's dtype, LANES, the constants, parameters and bindings), then the includes, and the kernel's own text last.
 */
export function wgslParts(kernel: Kernel, dtype: DType, constants: Constants, lanes: Lanes): string[] {
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
    `const GRID_X: u32 = ${lanes.gridX ?? gridX}u;`,
  );
  for (const [name, value] of Object.entries(constants)) {
    lines.push(
      typeof value === "boolean" ? `const ${name}: bool = ${value};` : `const ${name}: u32 = ${value}u;`,
    );
  }
  lines.push(...declarations(kernel));
  const place = kernel.starts
    ? "let params = slots[wgInPart.y].params; let wg = vec3u(wgInPart.x, 0u, 0u) + params.gridStart;"
    : "let wg = wgInPart + params.gridStart;";
  const texts = [...includedTexts(kernel, lanes), kernel.source].map((text) => {
    const placed = text.replace(entry, (head) => `${head.replace(workgroup, partWorkgroup)} ${place}`);
    return sized ? placed.replace("@compute", "@compute @subgroup_size(LANES)") : placed;
  });
  return [lines.join("\n"), ...texts];
}

function includedTexts({ includes }: Kernel, { subgroups }: Pick<Lanes, "subgroups">): string[] {
  return includes.map((include) =>
    typeof include === "string" ? include : subgroups ? include.subgroups : include.shared,
  );
}

/** Bindings and parameters, in one group: two take a third longer to encode. */
function declarations({ bindings, params, starts }: Kernel): string[] {
  const lines = bindings.map(
    ({ name, access, type }, i) =>
      `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${type}>;`,
  );
  const fields = Object.entries(params).map(([name, type]) => `${name}: ${type}, `);
  const more = (starts ?? []).map(({ name }) => `, ${startOf(name)}: u32`);
  lines.push(`struct Params { ${fields.join("")}gridStart: vec3u${more.join("")} }`);
  const block = `@group(0) @binding(${bindings.length}) var<uniform>`;
  if (starts)
    lines.push(
      `struct Slot { @size(${paramBytes}) params: Params }`,
      `${block} slots: array<Slot, ${mostMembers}>;`,
    );
  else lines.push(`${block} params: Params;`);
  return lines;
}

/** Bytes of a dispatch's parameters; of a bundle's form each member has so many. */
export const paramBytes = 256;
/** Dispatches that one may stand for. */
export const mostMembers = 32;

/** Bytes that are bound for the parameters of a kernel. */
export function boundParamBytes({ starts }: Kernel): number {
  return (starts ? mostMembers : 1) * paramBytes;
}

/** The parameter of a bundle's form that says where a tensor begins. */
export const startOf = (name: string) => `${name}Begins`;

/** Byte offset in the parameters of `gridStart`, the first workgroup of a dispatch that is a part of another. */
export function gridStartOffset(params: ParamTypes): number {
  return Math.ceil(Object.keys(params).length / 4) * 16;
}

const workgroup = "@builtin(workgroup_id) wg: vec3u";
const partWorkgroup = "@builtin(workgroup_id) wgInPart: vec3u";
/** A kernel's entry point up to its body, where it takes the number of its workgroup as `wg`. */
const entry = /@compute[^{]*@builtin\(workgroup_id\) wg: vec3u[^{]*\{/;

/** Whether a kernel can run in parts: all that it knows of its place is `wg` and the place within that workgroup. */
export function isDivisible(kernel: Kernel): boolean {
  const texts = [...includedTexts(kernel, { subgroups: false }), kernel.source];
  return (
    texts.some((text) => entry.test(text)) &&
    !texts.some((text) => /global_invocation_id|num_workgroups/.test(text))
  );
}

/** Workgroups in x of a linear grid; kernels compute `wg.y * GRID_X + wg.x`. */
export const gridX = 32768;
