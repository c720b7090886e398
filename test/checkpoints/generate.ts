// Random small ViTs, BERTs and BLIPs, and the files that people have of them: in timm's, Hugging Face's and Salesforce's
// names, behind prefixes, in wrappings, among tensors that nobody needs, with a config.json or without; and files that
// something is wrong with, with what a refusal must name.
import type { StoredType } from "../../model/safetensors.ts";
import { Draws, namedValues } from "../checkpoint-files.ts";
import type { Act, Head, Linear, Norm, Rows, Text, TextLayer, Vision, VisionBlock } from "./forward.ts";

/** A tensor of a file; whole numbers where `dtype` is one of these. */
export interface FileTensor {
  shape: number[];
  data: Float64Array;
  dtype: StoredType;
}

export type FileTensors = Map<string, FileTensor>;

/** Something wrong with a sample, and what a refusal must name, one or the other. */
export interface Broken {
  what: string;
  named: string[];
}

/** A file of a model that the generator can compute. */
export interface Sample {
  kind: "vit" | "bert" | "blip";
  naming: string;
  tensors: FileTensors;
  /** The tensors that the forward pass needs. */
  needed: string[];
  config: Record<string, unknown> | null;
  tokens: string[] | null;
  preprocessor: Record<string, unknown> | null;
  /** Whether the preprocessor's settings are in processor_config.json, as Transformers 5 has them. */
  nested: boolean;
  /** tokenizer_config.json. */
  tokenizer: Record<string, unknown> | null;
  /** What config.json and preprocessor_config.json say of pictures; null where they say nothing. */
  pixels: { fit: string; zoom: number; filter: string; mean: number[]; std: number[] } | null;
  ignore: string[];
  /** How the file is packed. */
  container: "safetensors" | "zip" | "stream";
  /** Keys around the dictionary of tensors. */
  wrapping: string[];
  vision: Vision | null;
  text: Text | null;
  projections: { vision: Linear; text: Linear } | null;
  /** What the files leave open, by what a refusal may say; null where all is said. */
  open: RegExp | null;
  /** What is wrong, and what the refusal must name; null where nothing is. */
  broken: Broken | null;
  /** Ids of texts. */
  ids: number[][];
}

const plain = (x: number) => x;
const roundings: Partial<Record<StoredType, (x: number) => number>> = {
  F32: Math.fround,
  F64: plain,
  // Seven digits of ten bits and of seven: exact in the type, for numbers of this size.
  F16: (x) => Math.round(x * 1024) / 1024,
  BF16: (x) => Math.round(x * 64) / 64,
};

/** Draws for one sample, and weights that are as its file stores them. */
class Maker {
  private count = 0;

  constructor(
    readonly draws: Draws,
    private readonly key: string,
    readonly dtype: StoredType,
  ) {}

  below = (limit: number) => this.draws.below(limit);
  pick = <T>(items: readonly T[]) => this.draws.pick(items);
  /** True once in so many times. */
  chance = (times: number) => this.draws.below(times) === 0;

  /** Uniform within ±scale around a centre. */
  values(size: number, scale: number, centre = 0): Float64Array {
    const round = roundings[this.dtype]!;
    const drawn = namedValues(`${this.key} ${this.count++}`, size, scale);
    return Float64Array.from(drawn, (value) => round(value + centre));
  }

  linear(outputs: number, inputs: number, bias = true): Linear {
    return {
      weight: this.values(outputs * inputs, 1.5 / Math.sqrt(inputs)),
      bias: bias ? this.values(outputs, 0.3) : null,
    };
  }

  norm(width: number): Norm {
    return { weight: this.values(width, 0.5, 1), bias: this.values(width, 0.3) };
  }

  rows(count: number, width: number): Rows {
    return Array.from({ length: count }, () => this.values(width, 0.7));
  }
}

/** What a family of vision transformers may have. */
interface Family {
  /** Prefixes of its own. */
  own: readonly string[];
  /** model_type of config.json. */
  types: readonly string[];
  /** What its classes compute where nothing is said. */
  epsilon: number;
  act: Act;
}

const families = {
  timm: { own: [""], types: [], epsilon: 1e-6, act: "gelu" },
  vit: { own: ["", "vit.", "deit."], types: ["vit", "deit"], epsilon: 1e-12, act: "gelu" },
  newVit: { own: ["", "vit."], types: ["vit"], epsilon: 1e-12, act: "gelu" },
  dinov2: {
    own: ["", "dinov2.", "dinov2_with_registers."],
    types: ["dinov2", "dinov2_with_registers"],
    epsilon: 1e-6,
    act: "gelu",
  },
  clip: { own: ["", "vision_model."], types: ["clip_vision_model", "clip"], epsilon: 1e-5, act: "quick" },
  siglip: {
    own: ["", "vision_model."],
    types: ["siglip_vision_model", "siglip"],
    epsilon: 1e-6,
    act: "tanh",
  },
} as const satisfies Record<string, Family>;
type FamilyName = keyof typeof families;

const actNames: Record<Act, readonly string[]> = {
  gelu: ["gelu"],
  tanh: ["gelu_pytorch_tanh", "gelu_new"],
  quick: ["quick_gelu"],
  relu: ["relu"],
};

function makeHead(make: Maker, width: number, inner: number): Head {
  const [query, key, value, projection] = Array.from({ length: 4 }, () => make.linear(width, width)) as [
    Linear,
    Linear,
    Linear,
    Linear,
  ];
  return {
    ...{ probe: make.values(width, 0.7), query, key, value, projection },
    ...{ norm: make.norm(width), fc1: make.linear(inner, width), fc2: make.linear(width, inner) },
  };
}

/** Width and heads; without a config.json they must be those that the width tells. */
function widths(make: Maker, configured: boolean): { width: number; heads: number } {
  if (!configured)
    return make.pick([
      ...Array.from({ length: 3 }, () => ({ width: 64, heads: 1 })),
      { width: 128, heads: 2 },
    ]);
  const size = make.pick([4, 8, 16]);
  const heads = make.pick([1, 2, 3, 4]);
  return { width: size * heads, heads };
}

/** A random vision transformer of a family; `like` restricts it to what BLIP's own naming can say. */
function makeVision(make: Maker, family: FamilyName, configured: boolean): Vision {
  const { width, heads } = widths(make, configured);
  const inner = make.pick([1, 2, 1.5, 3]) * width;
  const [patch, grid, depth] = [make.pick([2, 3, 4, 8]), make.pick([1, 2, 3, 4]), 1 + make.below(2)];
  const isTimm = family === "timm";
  const hasClass = family === "siglip" ? false : isTimm ? !make.chance(4) : true;
  const registers =
    isTimm && make.chance(3)
      ? 1 + make.below(4)
      : family === "dinov2"
        ? make.pick([0, 4])
        : family === "vit" && make.chance(3)
          ? 1
          : 0;
  const scaled = family === "dinov2" || (isTimm && make.chance(2));
  const queryKey = isTimm && make.chance(3);
  const biased = isTimm || family === "vit" ? !make.chance(4) : true;
  const preNorm = family === "clip" || (isTimm && make.chance(5));
  const pooling: Vision["pooling"] =
    family === "siglip"
      ? make.pick(["attention", "attention", "mean"])
      : isTimm
        ? make.pick(hasClass ? ["token", "token", "mean", "attention"] : ["mean", "attention"])
        : "token";
  const placed: Vision["placed"] =
    family === "dinov2" || family === "clip"
      ? "class"
      : isTimm && hasClass && registers > 0
        ? make.pick(["all", "class", "patches"])
        : isTimm
          ? make.pick(["all", "patches"])
          : "all";
  const prefix = placed === "all" ? Number(hasClass) + registers : placed === "class" ? Number(hasClass) : 0;
  const scale = () => (scaled ? make.values(width, make.pick([0.9, 0.9, 1e-5]), make.pick([0, 0, 1])) : null);
  const blocks: VisionBlock[] = Array.from({ length: depth }, () => ({
    norm1: make.norm(width),
    query: make.linear(width, width, biased),
    key: make.linear(width, width, biased),
    value: make.linear(width, width, biased),
    queryNorm: queryKey ? make.norm(width / heads) : null,
    keyNorm: queryKey ? make.norm(width / heads) : null,
    projection: make.linear(width, width),
    scale1: scale(),
    norm2: make.norm(width),
    fc1: make.linear(inner, width),
    fc2: make.linear(width, inner),
    scale2: scale(),
  }));
  return {
    ...{ width, heads, inner, patch, grid, epsilon: families[family].epsilon, act: families[family].act },
    cls: hasClass ? make.values(width, 0.7) : null,
    registers: make.rows(registers, width),
    ...{ placed, positions: make.rows(prefix + grid * grid, width) },
    patches: make.linear(width, 3 * patch * patch, !(preNorm && make.chance(2))),
    preNorm: preNorm ? make.norm(width) : null,
    ...{ blocks, norm: make.norm(width), pooling },
    normAfter: family === "clip" || (isTimm && pooling === "mean" && make.chance(2)),
    head: pooling === "attention" ? makeHead(make, width, inner) : null,
  };
}

function makeText(make: Maker, configured: boolean, seen: number | null, rows: number): Text {
  const { width, heads } = widths(make, configured);
  const inner = make.pick([1, 2, 4]) * width;
  const layer = (): TextLayer => ({
    query: make.linear(width, width),
    key: make.linear(width, width),
    value: make.linear(width, width),
    output: make.linear(width, width),
    outputNorm: make.norm(width),
    cross:
      seen === null
        ? null
        : {
            query: make.linear(width, width),
            key: make.linear(width, seen),
            value: make.linear(width, seen),
            output: make.linear(width, width),
            norm: make.norm(width),
          },
    fc1: make.linear(inner, width),
    fc2: make.linear(width, inner),
    norm: make.norm(width),
  });
  return {
    ...{ width, heads, inner, epsilon: 1e-12, act: "gelu" },
    words: make.rows(rows, width),
    positions: make.rows(8 + make.below(12), width),
    types: seen === null ? make.rows(2, width) : [],
    norm: make.norm(width),
    layers: Array.from({ length: 1 + make.below(2) }, layer),
  };
}

/** Puts tensors under their names. */
class Writer {
  readonly tensors: FileTensors = new Map();

  constructor(
    private readonly prefix: string,
    private readonly dtype: StoredType,
  ) {}

  put(name: string, shape: number[], data: Float64Array, dtype = this.dtype): void {
    this.tensors.set(this.prefix + name, { shape, data, dtype });
  }

  rows(name: string, rows: Rows, leading: number[] = []): void {
    this.put(name, [...leading, rows.length, rows[0]!.length], joined(rows));
  }

  linear(name: string, { weight, bias }: Linear, shape: number[], joint = "."): void {
    this.put(`${name}${joint}weight`, shape, weight);
    if (bias) this.put(`${name}${joint}bias`, [shape[0]!], bias);
  }

  norm(name: string, { weight, bias }: Norm, [first, second] = ["weight", "bias"]): void {
    this.put(`${name}.${first}`, [weight.length], weight);
    this.put(`${name}.${second}`, [bias.length], bias);
  }
}

const joined = (rows: readonly ArrayLike<number>[]) =>
  Float64Array.from(rows.flatMap((row) => Array.from(row)));

/** Linear layers, one under the other. */
const stacked = (...layers: Linear[]): Linear => ({
  weight: joined(layers.map(({ weight }) => weight)),
  bias: layers[0]!.bias && joined(layers.map(({ bias }) => bias!)),
});

const square = (width: number) => [width, width];

function writeTimm(make: Maker, writer: Writer, m: Vision): void {
  const { width, inner, patch } = m;
  if (m.cls) writer.put("cls_token", [1, 1, width], m.cls);
  if (m.registers.length > 0) {
    const names = [m.placed === "class" ? "register_tokens" : "reg_token"];
    if (m.registers.length === 1 && m.placed === "all") names.push("dist_token");
    writer.rows(make.pick(names), m.registers, [1]);
  }
  writer.rows("pos_embed", m.positions, [1]);
  writer.linear("patch_embed.proj", m.patches, [width, 3, patch, patch]);
  if (m.preNorm) writer.norm("norm_pre", m.preNorm);
  const oldScale = make.chance(3);
  m.blocks.forEach((block, i) => {
    const name = `blocks.${i}`;
    writer.norm(`${name}.norm1`, block.norm1);
    writer.linear(`${name}.attn.qkv`, stacked(block.query, block.key, block.value), [3 * width, width]);
    if (block.queryNorm) writer.norm(`${name}.attn.q_norm`, block.queryNorm);
    if (block.keyNorm) writer.norm(`${name}.attn.k_norm`, block.keyNorm);
    writer.linear(`${name}.attn.proj`, block.projection, square(width));
    writer.norm(`${name}.norm2`, block.norm2);
    writer.linear(`${name}.mlp.fc1`, block.fc1, [inner, width]);
    writer.linear(`${name}.mlp.fc2`, block.fc2, [width, inner]);
    if (block.scale1) writer.put(oldScale ? `${name}.gamma_1` : `${name}.ls1.gamma`, [width], block.scale1);
    if (block.scale2) writer.put(oldScale ? `${name}.gamma_2` : `${name}.ls2.gamma`, [width], block.scale2);
  });
  writer.norm(m.normAfter ? "fc_norm" : "norm", m.norm);
  if (m.head) {
    const { probe, query, key, value, projection, norm, fc1, fc2 } = m.head;
    writer.put("attn_pool.latent", [1, 1, width], probe);
    writer.linear("attn_pool.q", query, square(width));
    writer.linear("attn_pool.kv", stacked(key, value), [2 * width, width]);
    writer.linear("attn_pool.proj", projection, square(width));
    writer.norm("attn_pool.norm", norm);
    writer.linear("attn_pool.mlp.fc1", fc1, [inner, width]);
    writer.linear("attn_pool.mlp.fc2", fc2, [width, inner]);
  }
}

function writeHub(writer: Writer, family: "vit" | "newVit" | "dinov2", m: Vision): void {
  const { width, inner, patch } = m;
  writer.put("embeddings.cls_token", [1, 1, width], m.cls!);
  if (m.registers.length > 0) {
    const name = family === "dinov2" ? "register_tokens" : "distillation_token";
    writer.rows(`embeddings.${name}`, m.registers, [1]);
  }
  writer.rows("embeddings.position_embeddings", m.positions, [1]);
  writer.linear("embeddings.patch_embeddings.projection", m.patches, [width, 3, patch, patch]);
  m.blocks.forEach((block, i) => {
    const name = family === "newVit" ? `layers.${i}` : `encoder.layer.${i}`;
    const norms = family === "dinov2" ? ["norm1", "norm2"] : ["layernorm_before", "layernorm_after"];
    const part = (long: string) =>
      family === "newVit" ? `${name}.attention.${long[0]}_proj` : `${name}.attention.attention.${long}`;
    writer.norm(`${name}.${norms[0]}`, block.norm1);
    for (const long of ["query", "key", "value"] as const)
      writer.linear(part(long), block[long], square(width));
    const output = family === "newVit" ? "attention.o_proj" : "attention.output.dense";
    writer.linear(`${name}.${output}`, block.projection, square(width));
    writer.norm(`${name}.${norms[1]}`, block.norm2);
    const [fc1, fc2] = family === "vit" ? ["intermediate.dense", "output.dense"] : ["mlp.fc1", "mlp.fc2"];
    writer.linear(`${name}.${fc1}`, block.fc1, [inner, width]);
    writer.linear(`${name}.${fc2}`, block.fc2, [width, inner]);
    if (block.scale1) writer.put(`${name}.layer_scale1.lambda1`, [width], block.scale1);
    if (block.scale2) writer.put(`${name}.layer_scale2.lambda1`, [width], block.scale2);
  });
  writer.norm("layernorm", m.norm);
}

/** CLIP's and SigLIP's, and Hugging Face's BLIP's, which keeps queries, keys and values in one. */
function writeTower(writer: Writer, m: Vision, blip: boolean): void {
  const { width, inner, patch } = m;
  if (m.cls) writer.put("embeddings.class_embedding", blip ? [1, 1, width] : [width], m.cls);
  if (blip) writer.rows("embeddings.position_embedding", m.positions, [1]);
  else writer.rows("embeddings.position_embedding.weight", m.positions);
  writer.linear("embeddings.patch_embedding", m.patches, [width, 3, patch, patch]);
  if (m.preNorm) writer.norm("pre_layrnorm", m.preNorm);
  m.blocks.forEach((block, i) => {
    const name = `encoder.layers.${i}`;
    writer.norm(`${name}.layer_norm1`, block.norm1);
    if (blip) {
      const qkv = stacked(block.query, block.key, block.value);
      writer.linear(`${name}.self_attn.qkv`, qkv, [3 * width, width]);
    } else {
      for (const long of ["query", "key", "value"] as const)
        writer.linear(`${name}.self_attn.${long[0]}_proj`, block[long], square(width));
    }
    writer.linear(`${name}.self_attn.${blip ? "projection" : "out_proj"}`, block.projection, square(width));
    writer.norm(`${name}.layer_norm2`, block.norm2);
    writer.linear(`${name}.mlp.fc1`, block.fc1, [inner, width]);
    writer.linear(`${name}.mlp.fc2`, block.fc2, [width, inner]);
  });
  writer.norm("post_layernorm", m.norm);
  if (m.head) {
    const { probe, query, key, value, projection, norm, fc1, fc2 } = m.head;
    writer.put("head.probe", [1, 1, width], probe);
    writer.linear("head.attention.in_proj", stacked(query, key, value), [3 * width, width], "_");
    writer.linear("head.attention.out_proj", projection, square(width));
    writer.norm("head.layernorm", norm);
    writer.linear("head.mlp.fc1", fc1, [inner, width]);
    writer.linear("head.mlp.fc2", fc2, [width, inner]);
  }
}

function writeText(make: Maker, writer: Writer, m: Text, prefix: string): void {
  const { width, inner } = m;
  const leaves = make.chance(5) ? ["gamma", "beta"] : undefined;
  const norm = (name: string, one: Norm) => writer.norm(name, one, leaves as [string, string] | undefined);
  writer.rows(`${prefix}embeddings.word_embeddings.weight`, m.words);
  writer.rows(`${prefix}embeddings.position_embeddings.weight`, m.positions);
  if (m.types.length > 0) writer.rows(`${prefix}embeddings.token_type_embeddings.weight`, m.types);
  norm(`${prefix}embeddings.LayerNorm`, m.norm);
  m.layers.forEach((layer, i) => {
    const name = `${prefix}encoder.layer.${i}`;
    const attend = (
      at: string,
      parts: { query: Linear; key: Linear; value: Linear; output: Linear },
      after: Norm,
    ) => {
      for (const part of ["query", "key", "value"] as const) {
        const { weight } = parts[part];
        writer.linear(`${at}.self.${part}`, parts[part], [width, weight.length / width]);
      }
      writer.linear(`${at}.output.dense`, parts.output, square(width));
      norm(`${at}.output.LayerNorm`, after);
    };
    attend(`${name}.attention`, layer, layer.outputNorm);
    if (layer.cross) attend(`${name}.crossattention`, layer.cross, layer.cross.norm);
    writer.linear(`${name}.intermediate.dense`, layer.fc1, [inner, width]);
    writer.linear(`${name}.output.dense`, layer.fc2, [width, inner]);
    norm(`${name}.output.LayerNorm`, layer.norm);
  });
}

/** Some of the fields of config.json, and the encoder made to what is left out. */
function sayEncoder(make: Maker, m: Vision | Text, act: Act): Record<string, unknown> {
  const fields: Record<string, unknown> = { num_attention_heads: m.heads };
  if (make.chance(2)) {
    m.epsilon = make.pick([1e-3, 1e-5, 1e-6]);
    fields.layer_norm_eps = m.epsilon;
  }
  if (make.chance(2)) {
    m.act = make.pick(["gelu", "tanh", "quick", "relu"] as const);
    fields.hidden_act = make.pick(actNames[m.act]);
  } else m.act = act;
  if (make.chance(2)) fields.hidden_size = m.width;
  if (make.chance(2)) fields.num_hidden_layers = "blocks" in m ? m.blocks.length : m.layers.length;
  if (make.chance(2)) fields.initializer_range = 0.02;
  if (make.chance(3)) fields.hidden_dropout_prob = 0.1;
  if (make.chance(4)) fields.torch_dtype = "float32";
  return fields;
}

function sayVision(make: Maker, m: Vision, act: Act): Record<string, unknown> {
  const fields = sayEncoder(make, m, act);
  if (make.chance(2))
    Object.assign(fields, { image_size: m.grid * m.patch, patch_size: m.patch, num_channels: 3 });
  return fields;
}

function sayText(make: Maker, m: Text): Record<string, unknown> {
  const fields = sayEncoder(make, m, "gelu");
  if (make.chance(2)) Object.assign(fields, { intermediate_size: m.inner, vocab_size: m.words.length });
  if (make.chance(2)) fields.position_embedding_type = "absolute";
  if (make.chance(3)) fields.max_position_embeddings = m.positions.length;
  return fields;
}

/** What timm's hub has beside a file. */
function sayTimm(make: Maker, m: Vision): Record<string, unknown> {
  m.epsilon = m.preNorm ? 1e-5 : 1e-6;
  const by: Partial<Record<Act, string[]>> = {
    gelu: ["vit_base_patch16_224", "deit3_small_patch16_224", "vit_base_patch16_siglip_224"],
    tanh: ["vit_so400m_patch16_siglip_256", "vit_base_patch32_siglip_gap_256"],
    quick: ["vit_base_patch16_clip_quickgelu_224"],
  };
  m.act = make.pick(["gelu", "tanh", "quick"] as const);
  const args: Record<string, unknown> = {
    ...{ embed_dim: m.width, num_heads: m.heads },
    ...(m.placed === "class" ? {} : { no_embed_class: m.placed === "patches" }),
    ...(m.blocks[0]!.query.bias ? {} : { qkv_bias: false }),
  };
  let architecture = make.pick(by[m.act]!);
  if (make.chance(3)) {
    architecture = "vit_base_patch16_224";
    args.act_layer = make.pick(actNames[m.act]);
  }
  if (make.chance(2))
    Object.assign(args, { depth: m.blocks.length, patch_size: m.patch, img_size: m.grid * m.patch });
  if (make.chance(2)) args.mlp_ratio = m.inner / m.width;
  if (make.chance(2) && m.registers.length > 0) args.reg_tokens = m.registers.length;
  const pools = { token: "token", mean: "avg", attention: "map" };
  return {
    architecture,
    num_classes: 0,
    num_features: m.width,
    global_pool: pools[m.pooling],
    model_args: args,
  };
}

/** What files say of how pictures are prepared. */
function sayPixels(make: Maker, sample: Sample, m: Vision): void {
  const size = m.grid * m.patch;
  const colours = () => Array.from({ length: 3 }, () => make.pick([0.5, 0.485, 0.25, 0.4578275]));
  const [mean, std] = [colours(), colours()];
  const filter = make.pick(["bicubic", "bilinear"]);
  const fit = make.pick(["squash", "crop"]);
  if (sample.config?.architecture !== undefined) {
    const part = make.pick([0.5, 0.9, 1]);
    const crop_mode = fit === "crop" ? "center" : "squash";
    const said = { input_size: [3, size, size], interpolation: filter, crop_pct: part, crop_mode, mean, std };
    sample.config = { ...sample.config, pretrained_cfg: { tag: "in1k", ...said } };
    sample.pixels = { fit, zoom: Math.floor(size / part) / size, filter, mean, std };
    return;
  }
  const side = size + make.pick([0, 0, 1, 4]);
  const square = { height: side, width: side };
  const cut =
    fit === "crop" || side > size ? { do_center_crop: true, crop_size: { height: size, width: size } } : {};
  sample.preprocessor = {
    ...{ do_normalize: true, do_rescale: true, do_resize: true, rescale_factor: 1 / 255 },
    ...{ image_mean: mean, image_std: std, resample: filter === "bicubic" ? 3 : 2 },
    ...{
      image_processor_type: "ViTImageProcessor",
      size: fit === "crop" ? { shortest_edge: side } : square,
      ...cut,
    },
  };
  sample.pixels = { fit, zoom: side / size, filter, mean, std };
}

/** Whether a table of so many rows reads in more than one way, by the ways that files without words on it are read. */
function isOpenTable(m: Vision): boolean {
  const rows = m.positions.length;
  const first = Number(m.cls !== null);
  const ways = m.placed === "class" ? [first] : [first + m.registers.length, 0];
  return (
    [...new Set(ways)].filter((placed) => rows > placed && Number.isInteger(Math.sqrt(rows - placed)))
      .length > 1
  );
}

/** Whole numbers, as files have them for what is no weight. */
const whole = (shape: number[]): FileTensor => ({
  shape,
  data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i),
  dtype: "I64",
});

/** Tensors that no embedding depends on, within or outside of the encoder's names. */
function addNeedless(make: Maker, sample: Sample, writer: Writer, inner: string): void {
  const width = (sample.vision ?? sample.text)!.width;
  const put = (name: string, shape: number[]) =>
    writer.put(
      name,
      shape,
      make.values(
        shape.reduce((a, b) => a * b, 1),
        1,
      ),
    );
  const some: Record<Sample["kind"], readonly (() => void)[]> = {
    vit: [
      () => !["clip", "siglip"].includes(sample.naming) && put("head.weight", [5, width]),
      () => put("classifier.weight", [5, width]),
      () => sample.naming === "timm" && put("head_dist.bias", [5]),
      () => sample.naming === "timm" && put("mask_token", [1, width]),
      () => sample.naming === "timm" && put(`${inner}decoder_blocks.0.norm1.weight`, [width]),
      () => sample.naming === "dinov2" && put(`${inner}embeddings.mask_token`, [1, width]),
      () => put(`${inner}pooler.dense.weight`, [width, width]),
      () => put("teacher.blocks.0.norm1.weight", [width]),
    ],
    bert: [
      () => put(`${inner}pooler.dense.weight`, [width, width]),
      () => put("cls.predictions.bias", [9]),
      () => put("classifier.weight", [2, width]),
      () => writer.tensors.set(`${inner}embeddings.position_ids`, whole([1, 9])),
    ],
    blip: [
      () => put("itm_head.weight", [2, width]),
      () => put("image_queue", [4, 7]),
      () => writer.tensors.set("ptr_queue", whole([1])),
      () => put("visual_encoder_m.blocks.0.norm1.weight", [width]),
      () => put("text_encoder_m.encoder.layer.0.output.dense.bias", [width]),
      () => put("text_decoder.cls.predictions.bias", [9]),
      () => writer.tensors.set("text_encoder.embeddings.position_ids", whole([1, 9])),
    ],
  };
  for (const add of some[sample.kind]) if (make.chance(3)) add();
}

/** Names within an encoder that mean another computation, by naming. */
const strange: Record<string, readonly string[]> = {
  timm: [
    ...["blocks.0.attn.norm.weight", "blocks.0.mlp.norm.bias", "blocks.0.ls3.gamma", "rope.freqs"],
    ...[
      "blocks.0.attn.relative_position_bias_table",
      "blocks.0.attn.head.weight",
      "blocks.0.adapter_m.weight",
    ],
    ...["patch_embed.norm.weight", "blocks.0.attn.q_bias", "blocks.0.0.norm1.weight", "pos_embed_win"],
  ],
  vit: ["encoder.layer.0.attention.attention.relative_position_bias.weight", "embeddings.norm.weight"],
  newVit: ["layers.0.attention.q_norm.weight", "embeddings.norm.weight"],
  dinov2: ["encoder.layer.0.mlp.weights_in.weight", "encoder.layer.0.attention.attention.query_norm.weight"],
  clip: ["encoder.layers.0.self_attn.q_norm.weight", "embeddings.time.weight"],
  siglip: ["encoder.layers.0.self_attn.q_norm.weight", "head.gate.weight"],
  bert: [
    ...["encoder.layer.0.attention.self.distance_embedding.weight", "encoder.layer.0.adapter.down.weight"],
    ...["embeddings.projection.weight", "encoder.rel_pos_bias.weight"],
  ],
  hubBlip: [
    "vision_model.encoder.layers.0.self_attn.rel_pos.weight",
    "text_encoder.encoder.layer.0.gate.weight",
  ],
  blip: [
    "visual_encoder.blocks.0.attn.rel_pos_h",
    "text_encoder.embeddings.gate.weight",
    "vision_proj.norm.weight",
  ],
};

const holders = ["module.", "_orig_mod.", "model.", "student.", "backbone."];
const keys = ["state_dict", "model_state_dict", "model", "net", "ema", "BLIPRetrieval", "weights"];

/** The sample of a round. */
export function generate(seed: number, round: number): Sample {
  const draws = new Draws(seed, round);
  const dtype = draws.pick<StoredType>(["F32", "F32", "F32", "F16", "BF16", "F64"]);
  const make = new Maker(draws, `${seed} ${round}`, dtype);
  const kind = make.pick(["vit", "vit", "bert", "blip"] as const);
  const configured = !make.chance(4);
  const run = Array.from({ length: make.below(4) }, () => make.pick(holders)).join("");
  const sample: Sample = {
    ...{ kind, naming: kind, tensors: new Map(), needed: [], config: null, tokens: null, ignore: [] },
    ...{ preprocessor: null, nested: make.chance(2), tokenizer: null, pixels: null },
    container: dtype === "F32" ? make.pick(["safetensors", "zip", "stream"]) : "safetensors",
    wrapping: make.pick([[], [], [make.pick(keys)], [make.pick(keys)], [make.pick(keys), make.pick(keys)]]),
    ...{ vision: null, text: null, projections: null, open: null, broken: null, ids: [] },
  };
  const writer = new Writer(run, dtype);
  let inner = "";
  if (kind === "vit") {
    const family = make.pick(["timm", "timm", "timm", ...(Object.keys(families) as FamilyName[])] as const);
    const { own, types, act } = families[family];
    const m = makeVision(make, family, configured);
    sample.naming = family;
    sample.vision = m;
    inner = make.pick(own);
    const inside = new Writer(run + inner, dtype);
    if (family === "timm") writeTimm(make, inside, m);
    else if (family === "clip" || family === "siglip") writeTower(inside, m, false);
    else writeHub(inside, family, m);
    for (const [name, tensor] of inside.tensors) writer.tensors.set(name, tensor);
    if (!configured) openVision(make, sample, m, family);
    else if (family === "timm") sample.config = sayTimm(make, m);
    else sample.config = sayHub(make, m, family, types, act);
    if (make.chance(2)) sayPixels(make, sample, m);
  } else if (kind === "bert") {
    const rows = 10 + make.below(20);
    sample.text = makeText(make, configured, null, rows);
    // A BERT without token types, which its config.json says then.
    const untyped = configured && make.chance(5);
    if (untyped) sample.text.types = [];
    inner = make.pick(["", "bert."]);
    writeText(make, writer, sample.text, inner);
    const types = untyped ? { type_vocab_size: 0 } : make.chance(3) ? { type_vocab_size: 2 } : {};
    if (configured) sample.config = { model_type: "bert", ...sayText(make, sample.text), ...types };
  } else makeBlip(make, sample, writer, configured);
  sample.tensors = writer.tensors;
  sample.needed = [...writer.tensors.keys()];
  if (sample.text) addWords(make, sample, sample.text);
  addNeedless(make, sample, writer, inner);
  if (make.chance(6)) setAside(make, sample, run + inner);
  else if (make.chance(2)) breakIt(make, sample, run + inner);
  return sample;
}

function sayHub(
  make: Maker,
  m: Vision,
  family: Exclude<FamilyName, "timm">,
  types: readonly string[],
  act: Act,
): Record<string, unknown> {
  const type = make.pick(types);
  const fields = sayVision(make, m, act);
  if (m.blocks[0]!.query.bias === null || make.chance(3)) {
    if (family !== "clip" && family !== "siglip") fields.qkv_bias = m.blocks[0]!.query.bias !== null;
  }
  if (family === "dinov2") {
    if (make.chance(2))
      Object.assign(fields, { use_swiglu_ffn: false, layerscale_value: 1.0, drop_path_rate: 0.1 });
    if (make.chance(2)) fields.mlp_ratio = m.inner / m.width;
    if (make.chance(2)) fields.num_register_tokens = m.registers.length;
  } else if (make.chance(2)) fields.intermediate_size = m.inner;
  if (type !== "clip" && type !== "siglip") return { model_type: type, ...fields };
  return {
    model_type: type,
    logit_scale_init_value: 2.6592,
    text_config: { hidden_size: 99 },
    vision_config: fields,
  };
}

/** Without a config.json, or with one of a few words and no model_type. */
function openVision(make: Maker, sample: Sample, m: Vision, family: FamilyName): void {
  if (family === "timm") m.epsilon = m.preNorm ? 1e-5 : 1e-6;
  const many = family === "clip" || family === "siglip" || m.preNorm || m.head;
  if (many && make.chance(2)) {
    m.act = make.pick(["gelu", "tanh", "quick"] as const);
    sample.config = { hidden_act: make.pick(actNames[m.act]) };
  } else if (many) sample.open = /several kinds of GELU/;
  if (family === "timm" && isOpenTable(m)) {
    sample.open = sample.open ? /several kinds of GELU|may be .* patches/ : /may be .* patches/;
  }
  if (family !== "timm") return;
  // What the tensors alone say of pooling.
  if (m.head) m.pooling = "attention";
  else m.pooling = m.cls && !m.normAfter ? "token" : "mean";
}

function makeBlip(make: Maker, sample: Sample, writer: Writer, configured: boolean): void {
  const hub = make.chance(2);
  sample.naming = hub ? "hubBlip" : "blip";
  const m = makeVision(make, hub ? "vit" : "timm", configured);
  // BLIP's table has a place for every token, and BLIP takes the class token.
  m.cls ??= make.values(m.width, 0.7);
  if (hub) m.registers = [];
  m.placed = "all";
  m.positions = make.rows(1 + m.registers.length + m.grid ** 2, m.width);
  m.normAfter = false;
  m.head = null;
  m.pooling = "token";
  if (hub) {
    for (const block of m.blocks) {
      for (const part of ["query", "key", "value"] as const) block[part] = make.linear(m.width, m.width);
    }
  }
  m.epsilon = 1e-6;
  m.act = "gelu";
  const text = makeText(make, configured, m.width, 14 + make.below(20));
  sample.vision = m;
  sample.text = text;
  if (hub) {
    const vision = new Writer("vision_model.", make.dtype);
    writeTower(vision, m, true);
    for (const [name, { shape, data }] of vision.tensors) writer.put(name, shape, data);
  } else {
    const vision = new Writer("visual_encoder.", make.dtype);
    writeTimm(make, vision, m);
    for (const [name, { shape, data }] of vision.tensors) writer.put(name, shape, data);
    writer.put("temp", [], make.values(1, 0.01, 0.07));
  }
  writeText(make, writer, text, "text_encoder.");
  const shared = make.pick([8, 12]);
  sample.projections = { vision: make.linear(shared, m.width), text: make.linear(shared, text.width) };
  writer.linear("vision_proj", sample.projections.vision, [shared, m.width]);
  writer.linear("text_proj", sample.projections.text, [shared, text.width]);
  if (configured) {
    // The original has another epsilon than Hugging Face's classes.
    m.epsilon = hub ? 1e-5 : 1e-6;
    const vision = sayVision(make, m, "gelu");
    const own = {
      model_type: "blip",
      vision_config: vision,
      text_config: { ...sayText(make, text), is_decoder: true },
    };
    sample.config = make.chance(2) ? own : { ...own, image_text_hidden_size: shared };
  } else if (m.preNorm) {
    m.epsilon = 1e-5;
    sample.open = /several kinds of GELU/;
  }
}

/** A vocabulary for the word table, and texts. */
function addWords(make: Maker, sample: Sample, m: Text): void {
  const rows = m.words.length;
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const added = sample.kind === "blip" ? ["[DEC]", "[ENC]"] : [];
  const words = Array.from({ length: rows - special.length - added.length }, (_, i) => `word${i}`);
  // Hugging Face's files may not know the tokens that BLIP added.
  sample.tokens = [...special, ...words, ...(make.chance(2) ? added : [])];
  const length = 3 + make.below(Math.min(6, m.positions.length - 3));
  sample.ids = Array.from({ length: 2 }, (_, i) =>
    Array.from({ length }, (_, j) => (i === 1 && j >= length - 1 ? 0 : 1 + make.below(rows - 1))),
  );
}

/** Adds a tensor that nobody knows, which the user has set aside. */
function setAside(make: Maker, sample: Sample, prefix: string): void {
  const name = `${prefix}${make.pick(strange[sample.naming]!)}`;
  if (sample.tensors.has(name)) return;
  sample.tensors.set(name, { shape: [3], data: make.values(3, 1), dtype: make.dtype });
  sample.ignore = [make.chance(2) ? name : `*${name.slice(prefix.length)}`];
}

/** Old names of a norm's tensors are told by the new ones. */
const newName = (name: string) =>
  name.replace(/Norm\.gamma$/, "Norm.weight").replace(/Norm\.beta$/, "Norm.bias");

/** Without a token the table of positions fits no picture, which is told first. */
const placeless = (name: string) =>
  /cls_token|class_embedding|distillation_token/.test(name) ? ["position"] : [];

/** Whether a file without a tensor is one of another model of the same naming. */
function isOtherModel({ naming, vision, config }: Sample, name: string): boolean {
  if (!vision || naming === "bert") return false;
  // Biases of all layers, where nothing says that there are some.
  const alone = vision.blocks.length === 1;
  const biasless = /qkv\.bias$/.test(name) && alone && !(config && naming === "timm");
  const patches = /patch_embed.*\.bias$/.test(name) && vision.preNorm !== null;
  const tokens =
    naming === "timm" || naming === "blip"
      ? /cls_token|reg_token|register_tokens|dist_token/
      : /register_tokens/;
  return biasless || patches || tokens.test(name);
}

/** Breaks a sample in one of the ways that must be refused. */
function breakIt(make: Maker, sample: Sample, prefix: string): void {
  const ways: (() => Broken | null)[] = [
    () => {
      const name = `${prefix}${make.pick(strange[sample.naming]!)}`;
      sample.tensors.set(name, { shape: [3], data: make.values(3, 1), dtype: make.dtype });
      return { what: "a strange tensor", named: [name] };
    },
    () => {
      const name = make.pick(sample.needed.filter((name) => !isOtherModel(sample, name)));
      sample.tensors.delete(name);
      return { what: "a tensor lacks", named: [newName(name.slice(prefix.length)), ...placeless(name)] };
    },
    () => {
      if (sample.container !== "safetensors") return null;
      const name = make.pick(sample.needed);
      const { data, ...rest } = sample.tensors.get(name)!;
      sample.tensors.set(name, { ...rest, data: data.map((_, i) => i), dtype: "I64" });
      return { what: "whole numbers for weights", named: [name] };
    },
    () => {
      const layered = sample.needed.filter(
        (name) => /\.\d+\./.test(name) && sample.tensors.get(name)!.shape.length === 1,
      );
      const name = make.pick(layered);
      const { shape, dtype } = sample.tensors.get(name)!;
      const longer = shape[0]! + 1;
      sample.tensors.set(name, { shape: [longer], data: make.values(longer, 1), dtype });
      return { what: "another shape", named: [name] };
    },
    () => breakConfig(make, sample),
    () => {
      if (sample.kind === "bert") return null;
      const [field, value] = make.pick([
        ["resample", 1],
        ["rescale_factor", 1 / 127.5],
        ["do_resize", false],
        ["do_pad", true],
        ["size", { longest_edge: 9 }],
        ["image_std", [0.5]],
      ] as const);
      sample.preprocessor = { ...sample.preprocessor, [field]: value };
      return { what: "preprocessor_config.json", named: [field] };
    },
    () => {
      if (sample.kind === "vit") return null;
      const [field, value] = make.pick([
        ["do_lower_case", false],
        ["strip_accents", false],
        ["tokenize_chinese_chars", false],
        ["tokenizer_class", "BertJapaneseTokenizer"],
        ["never_split", ["red"]],
      ] as const);
      sample.tokenizer = { ...sample.tokenizer, [field]: value };
      return { what: "tokenizer_config.json", named: [field] };
    },
    () => {
      const norm = `${prefix}visual_encoder.norm.`;
      if (!sample.tensors.has(`${norm}weight`)) return null;
      const names = [...sample.tensors].map(
        ([name, tensor]) =>
          [name.startsWith(norm) ? name.replace("norm.", "fc_norm.") : name, tensor] as const,
      );
      sample.tensors = new Map(names);
      return {
        what: "a norm behind the pooling",
        named: ["visual_encoder.fc_norm.weight", ...placeless(norm)],
      };
    },
  ];
  sample.broken = make.pick(ways)();
}

function breakConfig(make: Maker, sample: Sample): Broken | null {
  if (!sample.config) return null;
  const config = structuredClone(sample.config);
  const inner = (config.vision_config ?? config.text_config) ? (["vision_config"] as const) : [];
  const at = inner.reduce<Record<string, unknown>>(
    (outer, key) => outer[key] as Record<string, unknown>,
    config,
  );
  const set = (fields: Record<string, unknown>, into = at) => {
    Object.assign(into, fields);
    return { what: "config.json", named: [Object.keys(fields)[0]!] };
  };
  const width = (sample.vision ?? sample.text)!.width;
  let result: Broken;
  if (config.architecture !== undefined) {
    const args = config.model_args as Record<string, unknown>;
    result = make.pick([
      () => set({ act_layer: "silu" }, args),
      () => set({ norm_layer: "rmsnorm" }, args),
      () => set({ global_pool: "avgmax" }),
      () => {
        set({ global_pool: config.global_pool === "avg" ? "token" : "avg" }, args);
        return { what: "config.json", named: ["model_args.global_pool"] };
      },
      () => set({ embed_dim: width + 4 }, args),
      () => set({ rope: true }, args),
      () => {
        config.architecture = "vit_base_patch16_rpn_224";
        return { what: "config.json", named: ["vit_base_patch16_rpn_224"] };
      },
    ])();
  } else {
    result = make.pick([
      () => set({ hidden_act: "swish" }),
      () => set({ hidden_size: width + 4 }),
      () => set({ num_hidden_layers: 9 }),
      () => set({ rope_theta: 10000 }),
      () => set({ vocab_size: 5 }, (config.text_config ?? at) as Record<string, unknown>),
      () => set({ layer_norm_eps: "small" }),
      () =>
        set(sample.kind === "bert" ? { position_embedding_type: "relative_key" } : { use_swiglu_ffn: true }),
      () => {
        config.model_type = "roberta";
        return { what: "config.json", named: ["roberta"] };
      },
    ])();
  }
  sample.config = config;
  return result;
}
