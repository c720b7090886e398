// A CASE model and its rivals by loops over float64 numbers, one picture or text at a time: what the model's own
// embeddings, losses and gradients are held against. For small sizes, in CASE's own form: a class token, pre-norm vision
// blocks, post-norm text layers with dropout where BERT has it.
import { gelu } from "../cases/reference.ts";
import type { ModelConfig } from "../model/config.ts";

export type Vector = number[];
export type Rows = Vector[];

/** Values by name, row-major. */
export type PlainValues = ReadonlyMap<string, ArrayLike<number>>;

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};
const plus = (a: Vector, b: Vector): Vector => a.map((value, i) => value + b[i]!);
const relu = (x: number) => Math.max(0, x);
const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const unit = (x: Vector): Vector => x.map((value) => value / Math.sqrt(dot(x, x)));

export function softmax(logits: Vector): Vector {
  const most = Math.max(...logits);
  const powers = logits.map((logit) => Math.exp(logit - most));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}

/**
 * By what dropout multiplies an element: BERT's dropouts are counted in the order in which they come, elements as they lie in
 * the tensor of all texts of a batch.
 */
export interface Dropping {
  factor(dropout: number, element: number): number;
  /** Which text of the batch it is; all are of one length. */
  text: number;
}

export class PlainCase {
  constructor(
    readonly config: ModelConfig,
    readonly values: PlainValues,
  ) {}

  /** Tokens of a picture, RGB bytes row by row. */
  tokens(bytes: ArrayLike<number>): Rows {
    const { imageSize: size, patchSize, depth, heads, layerNormEpsilon: eps, mean, std } = this.config.vision;
    const root = "vision_model";
    const places = this.table(`${root}.embeddings.position_embedding`, this.config.vision.width);
    const x: Rows = [[...Array.from(this.value(`${root}.embeddings.class_embedding`))]];
    for (let top = 0; top < size; top += patchSize) {
      for (let left = 0; left < size; left += patchSize) {
        const patch: Vector = [];
        for (let c = 0; c < 3; c++)
          for (let y = top; y < top + patchSize; y++)
            for (let at = left; at < left + patchSize; at++)
              patch.push((bytes[(y * size + at) * 3 + c]! / 255 - mean[c]!) / std[c]!);
        x.push(this.linear(`${root}.embeddings.patch_embedding`, patch));
      }
    }
    let hidden = x.map((row, i) => plus(row, places[i]!));
    for (let i = 0; i < depth; i++) {
      const layer = `${root}.encoder.layers.${i}`;
      const qkv = hidden.map((row) =>
        this.linear(`${layer}.self_attn.qkv`, this.norm(`${layer}.layer_norm1`, row, eps)),
      );
      const seen = attention(parts(qkv, 3), heads);
      const middle = seen.map((row, j) =>
        plus(hidden[j]!, this.linear(`${layer}.self_attn.projection`, row)),
      );
      hidden = middle.map((row) => {
        const inner = this.linear(`${layer}.mlp.fc1`, this.norm(`${layer}.layer_norm2`, row, eps)).map(gelu);
        return plus(row, this.linear(`${layer}.mlp.fc2`, inner));
      });
    }
    return hidden.map((row) => this.norm(`${root}.post_layernorm`, row, eps));
  }

  target(tokens: Rows): Vector {
    return unit(this.linear("vision_proj", tokens[0]!));
  }

  /** The embedding of a query, of the tokens of its text without padding. */
  query(ids: readonly number[], tokens: Rows, dropping?: Dropping): Vector {
    const { fusion } = this.config;
    const attends = fusion === "early" || fusion === "image";
    const text = this.linear("text_proj", this.text(ids, attends ? tokens : null, { dropping }));
    if (attends || fusion === "text") return unit(text);
    const picture = this.linear("reference_proj", tokens[0]!);
    return unit(this.compose(text, picture));
  }

  /** The embedding of a text by itself. */
  name(ids: readonly number[]): Vector {
    return unit(this.linear("text_proj", this.text(ids, null)));
  }

  private compose(text: Vector, picture: Vector): Vector {
    const two = (name: string, x: Vector) =>
      this.linear(`composition.${name}.2`, this.linear(`composition.${name}.1`, x).map(relu));
    const { fusion } = this.config;
    if (fusion === "late") return plus(text, picture);
    if (fusion === "gate") {
      const both = [...picture, ...text];
      const [ofGate, ofRest] = ["gate", "residual"].map(
        (name) => this.value(`composition.${name}.share`)[0]!,
      );
      const rest = two("residual", both);
      return two("gate", both).map((logit, i) => ofGate! * sigmoid(logit) * picture[i]! + ofRest! * rest[i]!);
    }
    const both = [
      ...this.linear("composition.text", text).map(relu),
      ...this.linear("composition.reference", picture).map(relu),
    ];
    const share = sigmoid(two("share", both)[0]!);
    return two("mixture", both).map((value, i) => value + share * text[i]! + (1 - share) * picture[i]!);
  }

  /** By layer, head and token of the text: how it attends to the tokens of its picture. */
  attentionMaps(ids: readonly number[], tokens: Rows): Vector[][][] {
    const maps: Vector[][][] = [];
    const look = (queries: Rows, keys: Rows) => {
      const { heads } = this.config.text;
      maps.push(
        Array.from({ length: heads }, (_, head) => queries.map((query) => shares(query, keys, head, heads))),
      );
    };
    this.text(ids, tokens, { look });
    return maps;
  }

  /** The first token behind the last layer; `look` is shown queries and keys of the cross-attention, layer by layer. */
  private text(
    ids: readonly number[],
    picture: Rows | null,
    { look, dropping }: { look?: (queries: Rows, keys: Rows) => void; dropping?: Dropping } = {},
  ): Vector {
    const { width, depth, heads, layerNormEpsilon: eps } = this.config.text;
    const root = "text_encoder";
    const [words, places] = ["word", "position"].map((name) =>
      this.table(`${root}.embeddings.${name}_embeddings.weight`, width),
    );
    const { factor, text } = dropping ?? { factor: () => 1, text: 0 };
    let dropouts = 0;
    /** Rows of a text, of as many of each. */
    const dropped = (rows: Rows): Rows => {
      const dropout = dropouts++;
      return rows.map((row, i) =>
        row.map((value, j) => value * factor(dropout, (text * rows.length + i) * width + j)),
      );
    };
    const seenBy = (q: Rows, k: Rows, v: Rows): Rows => {
      const dropout = dropouts++;
      return attention([q, k, v], heads, (head, query, key) =>
        factor(dropout, ((text * heads + head) * q.length + query) * k.length + key),
      );
    };
    let hidden = dropped(
      ids.map((id, i) => this.norm(`${root}.embeddings.LayerNorm`, plus(words![id]!, places![i]!), eps)),
    );
    for (let i = 0; i < depth; i++) {
      const layer = `${root}.encoder.layer.${i}`;
      const output = (name: string, rows: Rows, before: Rows): Rows =>
        dropped(rows.map((row) => this.linear(`${layer}.${name}.dense`, row))).map((row, j) =>
          this.norm(`${layer}.${name}.LayerNorm`, plus(before[j]!, row), eps),
        );
      const qkv = hidden.map((row) => this.linear(`${layer}.attention.self.qkv`, row));
      const [q, k, v] = parts(qkv, 3);
      const own = seenBy(q!, k!, v!);
      // Behind the last mixing of tokens only the first one is wanted, which its dropout is counted by.
      const kept = dropping && i === depth - 1 ? own.slice(0, 1) : own;
      hidden = output("attention.output", kept, hidden);
      if (picture) {
        const cross = `${layer}.crossattention`;
        const queries = hidden.map((row) => this.linear(`${cross}.self.query`, row));
        const pairs = picture.map((row) => this.linear(`${cross}.self.key_value`, row));
        const [keys, seen] = parts(pairs, 2);
        look?.(queries, keys!);
        hidden = output("crossattention.output", seenBy(queries, keys!, seen!), hidden);
      }
      const inner = hidden.map((row) => this.linear(`${layer}.intermediate.dense`, row).map(gelu));
      hidden = output("output", inner, hidden);
    }
    return hidden[0]!;
  }

  private value(name: string): ArrayLike<number> {
    const value = this.values.get(name);
    if (!value) throw new Error(`no values of ${name}`);
    return value;
  }

  private table(name: string, width: number): Rows {
    const flat = Array.from(this.value(name));
    return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
  }

  private linear(name: string, x: Vector): Vector {
    const weight = this.value(`${name}.weight`);
    return Array.from(this.value(`${name}.bias`), (bias, row) => {
      let sum = bias;
      for (let i = 0; i < x.length; i++) sum += weight[row * x.length + i]! * x[i]!;
      return sum;
    });
  }

  private norm(name: string, x: Vector, eps: number): Vector {
    const mean = x.reduce((a, b) => a + b, 0) / x.length;
    const centred = x.map((value) => value - mean);
    const scale = 1 / Math.sqrt(dot(centred, centred) / x.length + eps);
    const [weight, bias] = [this.value(`${name}.weight`), this.value(`${name}.bias`)];
    return centred.map((value, i) => value * scale * weight[i]! + bias[i]!);
  }
}

/** Rows cut into as many equal parts. */
function parts(rows: Rows, count: number): Rows[] {
  const width = rows[0]!.length / count;
  return Array.from({ length: count }, (_, i) => rows.map((row) => row.slice(i * width, (i + 1) * width)));
}

/** The part of a row that is a head's. */
function ofHead(row: Vector, head: number, heads: number): Vector {
  const size = row.length / heads;
  return row.slice(head * size, (head + 1) * size);
}

/** How a query's head attends to the keys. */
function shares(query: Vector, keys: Rows, head: number, heads: number): Vector {
  const own = ofHead(query, head, heads);
  return softmax(keys.map((key) => dot(own, ofHead(key, head, heads)) / Math.sqrt(own.length)));
}

/** `factor` multiplies the share of a key for a query of a head. */
function attention(
  [q, k, v]: Rows[],
  heads: number,
  factor: (head: number, query: number, key: number) => number = () => 1,
): Rows {
  return q!.map((query, at) =>
    Array.from({ length: heads }, (_, head) => {
      const weights = shares(query, k!, head, heads).map((share, key) => share * factor(head, at, key));
      const values = v!.map((value) => ofHead(value, head, heads));
      return values[0]!.map((_, i) =>
        dot(
          weights,
          values.map((value) => value[i]!),
        ),
      );
    }).flat(),
  );
}
