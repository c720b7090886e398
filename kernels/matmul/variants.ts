// The variants of the matrix product, which of them can run a product, and the rule that chooses where nothing was
// measured. Each exists for even sizes (contiguous extents are multiples of 4: whole vec4s) and for odd ones.
import { type Backend, type DType, defineKernel, type Kernel, TensorError } from "../../engine/index.ts";
import geluSource from "../lib/gelu.wgsl?raw";
import blockSource from "./block.wgsl?raw";
import blocksSource from "./blocks.wgsl?raw";
import { type Bits, blockLength } from "./packed.ts";
import productSource from "./product.wgsl?raw";
import quadsSource from "./quads.wgsl?raw";
import subgroupSource from "./subgroup.wgsl?raw";
import sumsSource from "./sums.wgsl?raw";

const productParams = {
  m: "u32",
  n: "u32",
  k: "u32",
  // Elements between the matrices of a batch; 0 shares one matrix.
  strideA: "u32",
  strideB: "u32",
  // So many products in a row take the same matrix, and so many matrices there are before the first comes again.
  repeatA: "u32",
  countA: "u32",
  repeatB: "u32",
  countB: "u32",
  // The sums along k may be split: split s covers `depth` terms, a multiple of 4, and writes its part of all results at
  // s splitStride; product.ts has the parts added.
  splits: "u32",
  depth: "u32",
  splitStride: "u32",
  /** Elements between the splits' parts of the sums of the rows of op(a); a multiple of 4. */
  sumsStride: "u32",
  // Of a matrix: tiles along n, and all.
  tilesN: "u32",
  tiles: "u32",
  batch: "u32",
  scale: "f32",
  // Whether the epilogue has them; each by itself would be a kernel to compile.
  hasBias: "u32",
  hasResidual: "u32",
} as const;

type ProductKernel = Kernel<typeof productParams>;

/** Sizes of y = op(a) op(b): y is [m, n], a sum of k terms, for each matrix of the batch. */
export interface Sizes {
  m: number;
  n: number;
  k: number;
  batch: number;
  /** `a` is stored [k, m]. */
  transposeA: boolean;
  /** `b` is stored [n, k]. */
  transposeB: boolean;
}

/** How one product runs. */
export interface Plan {
  kernel: ProductKernel;
  constants: Readonly<Record<string, number | boolean>>;
  /** Rows and columns of a workgroup's tile. */
  tile: readonly [number, number];
  /** Parts that the sums along k are split into, and terms of one part. */
  splits: number;
  depth: number;
}

/** What a product keeps beside its result: the values before GELU, or the sums of op(a)'s rows. */
export type Kept = "pre" | "sums";

const components = ["x", "y", "z", "w"];

/** WGSL that loads a quad of the tensor bound as `name`: a whole vec4, or of odd sizes what is `left` in the row, then zeros. */
export function loading(fn: string, name: string, odd: boolean): string {
  const scalars = components.map((c) => `${name}[i.${c}]`).join(", ");
  return `fn ${fn}(at: u32, left: u32) -> vec4f {
${
  odd
    ? `  let i = places(at, left);
  return select(vec4f(0.0), vec4f(vec4<Scalar>(${scalars})), inside(left));`
    : `  return vec4f(${name}[at / 4u]);`
}
}`;
}

/** WGSL that loads a quad of a packed `b`: whole numbers of so many bits, times the scale of their block. */
export function unpacking(bits: Bits): string {
  const numbers =
    bits === 8
      ? "(vec4i(i32(b[at / 4u])) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u)"
      : "(vec4i(i32(b[at / 8u] >> (at % 8u * 4u))) << vec4u(28u, 24u, 20u, 16u)) >> vec4u(28u)";
  return `fn loadB(at: u32, left: u32) -> vec4f {
  return scales[at / ${blockLength}u] * vec4f(${numbers});
}`;
}

/** WGSL that stores a quad of results, or what is `left` in the row, in the tensor bound as `name`. */
function storing(fn: string, name: string, odd: boolean): string {
  const lines = components.map((c, i) => `  if (left > ${i}u) { ${name}[at + ${i}u] = Out(value.${c}); }`);
  return `fn ${fn}(at: u32, left: u32, value: vec4f) {
${odd ? lines.join("\n") : `  ${name}[at / 4u] = vec4<Out>(value);`}
}`;
}

/** WGSL of what is kept, with empty functions for what isn't. */
function keeping(kept: Kept | null, odd: boolean): string {
  return [
    `const HAS_PRE = ${kept === "pre"};`,
    kept === "pre" ? storing("storePre", "pre", odd) : "fn storePre(at: u32, left: u32, value: vec4f) {}",
    `const HAS_SUMS = ${kept === "sums"};`,
    kept === "sums" ? sumsSource : "fn storeSums(at: u32, value: vec4f) {}",
  ].join("\n");
}

/** How a family of kernels takes its operands. */
export interface Form {
  /** Elements that even sizes are multiples of, along the operands' memory. */
  whole: number;
  /** What even operands are arrays of. */
  operand: string;
  /** WGSL that loads them. */
  loads(odd: boolean, bits: Bits | null): readonly string[];
  /** Whether there are odd sizes and packed operands. */
  all: boolean;
}

const quadsForm: Form = {
  ...{ whole: 4, operand: "Vec", all: true },
  loads: (odd, bits) => [
    loading("loadA", "a", odd),
    bits ? unpacking(bits) : loading("loadB", "b", odd),
    blocksSource,
  ],
};

/**
 * The same kernel for even and odd sizes, with results of the tensors' own type or, for parts of sums and where they are asked for,
 * f32, by what is kept, and by how `b` is packed, which is of even sizes and keeps nothing. What is f32 beside f16 has no GELU.
 */
/* @__NO_SIDE_EFFECTS__ */
export function productKernels(
  name: string,
  source: string,
  form: Form,
  more: Kernel["includes"] = [],
  enables: string[] = [],
) {
  const make = (odd: boolean, parts: boolean, kept: Kept | null, bits: Bits | null): ProductKernel => {
    const operand = odd ? "Scalar" : form.operand;
    const [other, result] = odd ? ["Scalar", "Out"] : ["Vec", "vec4<Out>"];
    return defineKernel({
      name: `matmul-${name}${odd ? "-odd" : ""}${parts ? "-parts" : ""}${kept ? `-${kept}` : ""}${bits ? `-int${bits}` : ""}`,
      source,
      includes: [
        `alias Out = ${parts ? "f32" : "Scalar"};`,
        geluSource,
        quadsSource,
        loading("loadBias", "bias", odd),
        loading("loadResidual", "residual", odd),
        storing("store", "y", odd),
        keeping(kept, odd),
        productSource,
        ...form.loads(odd, bits),
        ...more,
      ],
      bindings: [
        `a: ${operand}`,
        bits ? "b: u32" : `b: ${operand}`,
        `bias: ${other}`,
        `residual: ${other}`,
        ...(bits ? ["scales: f32" as const] : []),
        `+y: ${result}`,
        ...(kept === "pre" ? [`+pre: ${result}` as const] : []),
        ...(kept === "sums" ? ["+rowSums: vec4<Out>" as const] : []),
      ],
      params: productParams,
      bundles: enables.length === 0,
      enables,
      // Of the product itself. The epilogue is not counted, as nobody else counts it.
      flops: ({ params: { m, n, k, batch } }) => 2 * m * n * k * batch,
    });
  };
  const each = [false, true];
  const all = new Map<string, ProductKernel>();
  for (const odd of form.all ? each : [false]) {
    for (const parts of each) {
      for (const kept of [null, "sums", ...(parts ? [] : ["pre" as const])] as const)
        all.set(`${odd} ${parts} ${kept} ${null}`, make(odd, parts, kept, null));
    }
  }
  for (const parts of form.all ? each : [])
    for (const bits of [8, 4] as const)
      all.set(`${false} ${parts} ${null} ${bits}`, make(false, parts, null, bits));
  return {
    form,
    all: [...all.values()],
    of: (odd: boolean, parts: boolean, kept: Kept | null, bits: Bits | null) =>
      all.get(`${odd} ${parts} ${kept} ${bits}`)!,
  };
}

/** WGSL that adds a step of four terms to every row: a broadcast's lane has to be a constant. */
/* @__NO_SIDE_EFFECTS__ */
function rowSteps(rows: number): string {
  const lines = Array.from({ length: rows }, (_, row) => {
    const quad = Math.floor(row / 4);
    const slot = `select(${row}u / LANES, ${quad}u / LANES * 4u + ${row % 4}u, TRANS_A)`;
    const lane = `select(${row}u % LANES, ${quad}u % LANES, TRANS_A)`;
    return `  (*acc)[${row}] = rowStep((*acc)[${row}], subgroupBroadcast((*staged)[${slot}], ${lane}), b);`;
  });
  return `const ROWS = ${rows}u;
fn rowSteps(acc: ptr<function, array<vec4f, ROWS>>, staged: ptr<function, array<vec4f, SLOTS>>, b: array<vec4f, 4>) {
${lines.join("\n")}
}`;
}

const subgroupKernels = (rows: number) =>
  productKernels(`subgroup-${rows}`, subgroupSource, quadsForm, [
    // The second text is never used: these run only where there are subgroups.
    { subgroups: rowSteps(rows), shared: "" },
  ]);
const blockKernels = productKernels("block", blockSource, quadsForm);

export interface Variant {
  kernels: ReturnType<typeof productKernels>;
  constants(engine: Backend): Readonly<Record<string, number | boolean>>;
  /** Rows and columns of a workgroup's tile. */
  tile(engine: Backend): readonly [number, number];
  runs(engine: Backend, dtype: DType): boolean;
  /** Terms that parts of split sums are multiples of; 4 unless told. */
  depth?: number;
  /** Whether it can run these sizes, of a packed `b` or one that is not; all of them unless told. */
  fits?(engine: Backend, sizes: Sizes, packed: boolean): boolean;
}

/* @__NO_SIDE_EFFECTS__ */
function subgroupVariant(rows: number): Variant {
  return {
    kernels: subgroupKernels(rows),
    constants: () => ({}),
    tile: ({ lanes }) => [rows, 4 * lanes.count],
    runs: ({ lanes }) => lanes.subgroups,
  };
}

/* @__NO_SIDE_EFFECTS__ */
function blockVariant(side: number, big: boolean): Variant {
  const tile = side * (big ? 8 : 4);
  // Two tiles of quads, as block.wgsl has them.
  const bytes = 2 * ((8 * side * side) / tile) * (tile / 4 + 1) * 16;
  return {
    kernels: blockKernels,
    constants: () => ({ SIDE: side, BIG: big }),
    tile: () => [tile, tile],
    runs: ({ device: { limits } }) =>
      limits.maxComputeInvocationsPerWorkgroup >= side * side &&
      limits.maxComputeWorkgroupSizeX >= side * side &&
      limits.maxComputeWorkgroupStorageSize >= bytes,
  };
}

const ownVariants = {
  "subgroup-4": subgroupVariant(4),
  "subgroup-16": subgroupVariant(16),
  "subgroup-32": subgroupVariant(32),
  "block-32": blockVariant(8, false),
  "block-64": blockVariant(8, true),
  "block-64-wide": blockVariant(16, false),
  "block-128": blockVariant(16, true),
} satisfies Record<string, Variant>;

/** Those on matrix units (matrix.ts). */
export type UnitName = "matrix" | "matrix-small" | "matrix-direct";
type Base = keyof typeof ownVariants | UnitName;
/** A variant, whole or with its sums split along k. */
export type VariantName = Base | `${Base}/split`;

/** All that there are; those on matrix units come with `bringVariants`, so that an app which has no use for them loads no text of theirs. */
const variants = new Map<Base, Variant>(Object.entries(ownVariants) as [Base, Variant][]);
const kernelsOf = (some: Iterable<Variant>): readonly Kernel[] => [
  ...new Set([...some].flatMap(({ kernels }) => kernels.all)),
];
export const matmulKernels: readonly Kernel[] = kernelsOf(Object.values(ownVariants));
let allKernels = matmulKernels;

export function bringVariants(more: Readonly<Record<UnitName, Variant>>): void {
  for (const [name, variant] of Object.entries(more)) variants.set(name as UnitName, variant);
  allKernels = kernelsOf(variants.values());
}

/** The kernels of all variants that there are. */
export const kernelsNow = () => allKernels;
/** Their names. */
export const variantNames = (): Base[] => [...variants.keys()];

/** Whether an engine can run a variant on tensors of this dtype. */
export function runs(engine: Backend, name: VariantName, dtype: DType): boolean {
  return variants.get(baseOf(name))?.runs(engine, dtype) ?? false;
}

function baseOf(name: VariantName): Base {
  return name.replace("/split", "") as Base;
}

/** Workgroups that keep a large GPU busy; how many it has is not to be known. */
const busy = 128;
/** Terms that a part has at least. */
const shortest = 128;

/** How a variant runs a product; parts of split sums are f32 whatever the result is. */
export function plan(
  engine: Backend,
  name: VariantName,
  sizes: Sizes,
  { dtype, result }: { dtype: DType; result: DType },
  kept: Kept | null,
  bits: Bits | null = null,
): Plan {
  const { k } = sizes;
  const base = baseOf(name);
  const variant = variants.get(base);
  if (!variant) throw new TensorError(`matmul: "${name}" is there once useMatrixUnits was called.`);
  const { depth: step = 4, kernels } = variant;
  const odd = isOdd(sizes, kernels.form.whole);
  const splits = base === name ? 1 : splitsOf(engine, variant, sizes);
  const depth = Math.max(1, Math.ceil(k / splits / step)) * step;
  return {
    kernel: kernels.of(odd, dtype !== "f32" && (splits > 1 || result === "f32"), kept, bits),
    constants: variant.constants(engine),
    tile: variant.tile(engine),
    splits: Math.max(1, Math.ceil(k / depth)),
    depth,
  };
}

/** Whether some extent along memory is no multiple of 4, or of an operand of `whole`, so that scalars are loaded. */
function isOdd({ m, n, k, transposeA, transposeB }: Sizes, whole = 4): boolean {
  return (transposeA ? m : k) % whole !== 0 || (transposeB ? k : n) % whole !== 0 || n % 4 !== 0;
}

/** Into how many parts a variant splits the sums; 1 where it is busy enough without, or the sums are short. */
function splitsOf(engine: Backend, variant: Variant, { m, n, k, batch }: Sizes): number {
  const [rows, columns] = variant.tile(engine);
  const workgroups = Math.ceil(m / rows) * Math.ceil(n / columns) * batch;
  return Math.max(1, Math.min(Math.ceil(busy / workgroups), Math.floor(k / shortest)));
}

/**
 * The variants that can run a product, the rule's first. The rule has two sides. Where a subgroup is narrow (software
 * adapters: 4 or 8 lanes), one subgroup per tile without shared memory is fastest, with 32 rows where that leaves enough
 * tiles and the sizes are even, see docs/kernels-log.md. Elsewhere blocks go through shared memory, the largest that keep the adapter busy,
 * split where even the smallest don't; this side was never measured, `Backend.tune` finds out, and whether an adapter's
 * matrix units are faster.
 */
export function candidates(
  engine: Backend,
  sizes: Sizes,
  dtype: DType,
  splittable: boolean,
  packed = false,
): VariantName[] {
  const { m, n, batch } = sizes;
  const can = [...variants].flatMap(([name, variant]) =>
    variant.runs(engine, dtype) && (variant.fits?.(engine, sizes, packed) ?? true) ? [name] : [],
  );
  const workgroups = (name: Base) => {
    const [rows, columns] = variants.get(name)!.tile(engine);
    return Math.ceil(m / rows) * Math.ceil(n / columns) * batch;
  };
  const narrow = engine.lanes.subgroups && engine.lanes.count <= 8;
  const blocks = (["block-128", "block-64", "block-32"] as const).filter((name) => can.includes(name));
  const base: Base = narrow
    ? m <= 4
      ? "subgroup-4"
      : isOdd(sizes) || workgroups("subgroup-32") < 8
        ? "subgroup-16"
        : "subgroup-32"
    : (blocks.find((name) => workgroups(name) >= busy) ?? blocks.at(-1)!);
  const splits = (name: Base) => splittable && splitsOf(engine, variants.get(name)!, sizes) > 1;
  const first: VariantName = !narrow && splits(base) ? `${base}/split` : base;
  const rest = can.flatMap((name): VariantName[] => (splits(name) ? [name, `${name}/split`] : [name]));
  return [first, ...rest.filter((name) => name !== first)];
}

/** The choice between variants for one class of products: extents count up to the next power of two. */
export function choiceKey(sizes: Sizes, dtype: DType, splittable: boolean): string {
  const { m, n, k, batch, transposeA, transposeB } = sizes;
  const extents = [batch, m, n, k].map((extent) => 2 ** Math.ceil(Math.log2(extent)));
  const way = `${transposeA ? "t" : "n"}${transposeB ? "t" : "n"}`;
  return `matmul ${way} ${dtype} ${extents.join("x")}${isOdd(sizes) ? " odd" : ""}${splittable ? "" : " whole"}`;
}
