// What the bench for GPUs measures, in the order of its worth: when time is short, the end is lost.
import type { OpCase, TorchOp } from "../../cases/case.ts";
import { largeCases } from "../../cases/large.ts";
import { allCases } from "../../cases/table.ts";
import { type ModelConfig, modelSchema } from "../../model/config.ts";
import { imageTokens } from "../../model/vit.ts";
import { benchVit, vitFlops } from "../steps.ts";
import type { StepSpec, Subject, TorchMode, TorchSubject } from "./protocol.ts";
import type { GpuCase } from "./results.ts";

export interface Measured {
  name: string;
  group: GpuCase["group"];
  subject: Subject;
  torch: TorchSubject | null;
  modes: TorchMode[];
  flops: number | null;
  bytes: number | null;
  /** Bytes of the largest tensor, which must fit into a binding. */
  largest: number;
}

const bytesOf = { f32: 4, u32: 4, i32: 4, f16: 2 };
const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** How often forward, and both ways, read or write a tensor as large as the first input: the least that any kernel can. */
const passes: Record<string, [number, number]> = {
  // Backward of softmax reads y and dy and writes dx, those of the others read x and dy and write dx.
  softmax: [2, 5],
  gelu: [2, 5],
  layernorm: [2, 5],
  // One operand of `add` is a row; backward writes its gradient from one more reading.
  add: [2, 4],
  mul: [3, 8],
  sum: [1, 2],
  sumLeading: [1, 2],
};

function leastBytes({ inputs }: OpCase, op: TorchOp, weighted: boolean): number | null {
  const [first, second] = inputs.map(({ shape, dtype = "f32" }) => sizeOf(shape) * bytesOf[dtype]) as [
    number,
    number,
  ];
  const { shape, dtype = "f32" } = inputs[0]!;
  if (op.op === "cast") return first + sizeOf(shape) * bytesOf[op.to];
  if (op.op === "embedding") {
    const rows = sizeOf(inputs[1]!.shape) * shape[1]! * bytesOf[dtype];
    // Backward reads the rows' gradients and writes a table.
    return second + 2 * rows + (weighted ? second + rows + first : 0);
  }
  return op.op in passes ? first * passes[op.op]![weighted ? 1 : 0] : null;
}

function modesOf(op: TorchOp, half: boolean): TorchMode[] {
  const products = ["matmul", "linear", "attention", "conv2d"].includes(op.op);
  if (half) return products ? ["bf16", "f16"] : ["f16"];
  return products ? ["f32", "tf32"] : ["f32"];
}

function measured(opCase: OpCase, group: GpuCase["group"], weighted: boolean): Measured {
  const { name, inputs, flops } = opCase;
  const { peer, torch = peer, backward = 1 } = opCase.bench || {};
  const half = inputs.some(({ dtype }) => dtype === "f16");
  const products = !torch || torch.op in passes ? null : (flops ?? null);
  return {
    name: weighted ? `${name}, forward and backward` : name,
    group,
    subject: { name, weighted },
    torch: torch ? { op: torch, shapes: inputs.map(({ shape }) => shape), weighted } : null,
    modes: torch ? modesOf(torch, half && !(torch.op === "cast" && torch.to !== "f16")) : [],
    flops: products === null ? null : products * (weighted ? backward : 1),
    bytes: torch ? leastBytes(opCase, torch, weighted) : opCase.bench ? (opCase.bench.bytes ?? null) : null,
    largest: Math.max(...inputs.map(({ shape, dtype = "f32" }) => sizeOf(shape) * bytesOf[dtype])),
  };
}

const opOf = ({ bench }: OpCase) => {
  const { peer, torch = peer } = bench || {};
  return torch?.op;
};
const isProduct = (opCase: OpCase) => ["matmul", "linear", "conv2d"].includes(opOf(opCase) ?? "");
const isAttention = (opCase: OpCase) => opOf(opCase) === "attention";
function adamw(millions: number): Measured {
  const size = millions * 1e6;
  return {
    name: `AdamW on ${millions} M parameters`,
    group: "memory",
    subject: { name: "adamw", size },
    torch: { op: { op: "adamw" }, shapes: [[size]], weighted: false },
    modes: ["f32"],
    flops: null,
    // Parameters and two moments are read and written, the gradient is read.
    bytes: 7 * 4 * size,
    largest: 4 * size,
  };
}

/** In turns by dtype: f32 of the first, f16 of the first, and so on. */
function inTurns(cases: readonly OpCase[]): OpCase[] {
  const half = (opCase: OpCase) => opCase.inputs.some(({ dtype }) => dtype === "f16");
  const [f16, f32] = [cases.filter(half), cases.filter((opCase) => !half(opCase))];
  return f32.flatMap((opCase, i) => [opCase, ...(f16[i] ? [f16[i]] : [])]).concat(f16.slice(f32.length));
}

const both = (group: GpuCase["group"]) => (opCase: OpCase) =>
  [true, false].map((weighted) => measured(opCase, group, weighted));
/** Nobody differentiates sums of rows or casts by themselves. */
const forwardOnly = ["sumLeading", "sum", "cast", "add"];

const rest = (opCase: OpCase) => !isProduct(opCase) && !isAttention(opCase);
/** Sizes that fill a GPU, then those that the bench has for all adapters: on slow ones, nothing else is left. */
const chosen = (choice: (opCase: OpCase) => boolean) =>
  [largeCases, allCases.filter(({ bench }) => bench)].flatMap((list) => inTurns(list.filter(choice)));

export const subjects: Readonly<Record<GpuCase["group"], Measured[]>> = {
  products: chosen(isProduct).map((opCase) => measured(opCase, "products", false)),
  attention: chosen(isAttention).flatMap(both("attention")),
  memory: [
    adamw(100),
    ...chosen(rest).flatMap((opCase) =>
      forwardOnly.includes(opOf(opCase) ?? "sum")
        ? [measured(opCase, "memory", false)]
        : both("memory")(opCase),
    ),
    adamw(10),
  ],
};

/** How many of a group --quick takes: the first that fit the adapter. */
export const quickCounts: Readonly<Record<GpuCase["group"], number>> = {
  products: 4,
  attention: 4,
  memory: 6,
};

/** Cases that torch.compile is asked for: what it can fuse. */
export const compiledSubjects = [
  ...subjects.products.filter(({ name }) => name.startsWith("linear bias+gelu")),
  ...subjects.memory.filter(({ name }) => /^(layernorm|softmax|gelu) /.test(name)),
];

// Whole steps.

const blipVocabulary = 30_525;
/** Tokens of a text: BLIP retrieval's most, rounded as training rounds them. */
const blipLength = 35;

/** emoji-tiny's sizes, as its training sees them: 553 word pieces, most batches 16 tokens long. */
function emojiTiny(model: ModelConfig, precision: "f32" | "f16"): StepSpec {
  return {
    name: `emoji-tiny, batch 128, ${precision}`,
    ...{ model: "case", config: model, precision, batch: 128, vocabulary: 553, length: 16 },
  };
}

function blip(imageSize: number, batch: number, precision: "f32" | "f16"): StepSpec {
  return {
    name: `BLIP-base CASE at ${imageSize}, batch ${batch}, ${precision}`,
    model: "case",
    config: modelSchema.parse({ vision: { imageSize } }),
    ...{ precision, batch, vocabulary: blipVocabulary, length: blipLength },
  };
}

function vit(name: string, vision: object, batch: number, precision: "f32" | "f16"): StepSpec {
  const config = modelSchema.parse({ vision });
  return {
    name: `${name} at ${config.vision.imageSize}, batch ${batch}, ${precision}`,
    ...{ model: "vit", config, precision, batch, vocabulary: 0, length: 0 },
  };
}

const vitBase = (batch: number, precision: "f32" | "f16") =>
  vit("ViT-Base", { imageSize: 224 }, batch, precision);
const vitTiny = (precision: "f32" | "f16") => vit("ViT-Tiny", benchVit, 1, precision);

export const emojiSteps = (model: ModelConfig) => [emojiTiny(model, "f32"), emojiTiny(model, "f16")];

export const bigSteps: StepSpec[] = [
  blip(224, 32, "f32"),
  blip(224, 32, "f16"),
  blip(384, 8, "f32"),
  blip(384, 32, "f16"),
  vitBase(32, "f32"),
  vitBase(32, "f16"),
  blip(384, 32, "f32"),
  blip(224, 128, "f16"),
  blip(224, 128, "f32"),
  blip(224, 8, "f32"),
  vitBase(128, "f16"),
  vitBase(8, "f32"),
  blip(384, 64, "f16"),
  blip(384, 128, "f16"),
  vitTiny("f32"),
  vitTiny("f16"),
];

/** Operations of the products of a step, forward and backward, with as many texts as triplets and reversed ones. */
export function stepFlops({ model, config, batch, length }: StepSpec): number {
  const pictures = vitFlops(config, batch);
  if (model === "vit") return pictures;
  const { width, depth, intermediate } = config.text;
  const texts = Math.ceil(1.25 * batch);
  const tokens = imageTokens(config.vision);
  // Q, K, V and two outputs and the other query; feed-forward; attention to itself and to pictures.
  const own = 2 * length * width * (6 * width + 2 * intermediate) + 4 * length * (length + tokens) * width;
  const keysAndValues = 4 * tokens * config.vision.width * width;
  return pictures + 3 * depth * (texts * own + batch * keysAndValues);
}
