// ONNX's own cases of single operators (test/reference/onnx-cases.py) as a second opinion: each operator is put in terms of
// the ops here by one line of a table. What the table has no line for, or gives up, is left out and counted by name: an
// operator that comes to be gets a line. Integers of 8, 16 and 64 bits are u32 or i32 here, and results are cut to their
// bits.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { relativeError } from "../cases/compare.ts";
import { type DType, Engine, type HostArray, type Tensor } from "../engine/index.ts";
import * as ops from "../kernels/index.ts";

interface Stored {
  dtype: string;
  shape: number[];
  /** Integers, or f32 in base64. */
  data: string | number[];
}

interface OnnxCase {
  name: string;
  op: string;
  attributes: Record<string, number | string | number[]>;
  inputs: (Stored | null)[];
  outputs: Stored[];
}

const fixture = readFileSync(new URL("fixtures/onnx.json.gz", import.meta.url));
const { onnx, leftOut, cases } = JSON.parse(gunzipSync(fixture).toString()) as {
  onnx: string;
  leftOut: Record<string, number>;
  cases: OnnxCase[];
};

const engine = await Engine.create({ poison: true });

function valuesOf({ data }: Stored): ArrayLike<number> {
  if (typeof data !== "string") return data;
  const bytes = Buffer.from(data, "base64");
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i));
}

/** How the engine has an ONNX type. */
function dtypeOf(type: string): DType {
  if (type === "float32" || type === "float64") return "f32";
  if (type === "float16") return "f16";
  return type.startsWith("int") ? "i32" : "u32";
}

/** What a case says of its operator, in the words of the table. */
class Call {
  constructor(private readonly onnxCase: OnnxCase) {}

  /** Input `i` as a tensor. */
  at(i: number): Tensor {
    const stored = this.onnxCase.inputs[i]!;
    return engine.tensor(valuesOf(stored), stored.shape, dtypeOf(stored.dtype));
  }

  get x(): Tensor {
    return this.at(0);
  }

  get all(): Tensor[] {
    return this.onnxCase.inputs.map((_, i) => this.at(i));
  }

  has(i: number): boolean {
    return Boolean(this.onnxCase.inputs[i]);
  }

  /** Input `i` as numbers of the host: axes, shapes. */
  numbers(i: number): number[] {
    return Array.from(valuesOf(this.onnxCase.inputs[i]!));
  }

  number(name: string, otherwise: number): number {
    return (this.onnxCase.attributes[name] as number | undefined) ?? otherwise;
  }

  list(name: string): number[] | undefined {
    return this.onnxCase.attributes[name] as number[] | undefined;
  }

  word(name: string, otherwise: string): string {
    return (this.onnxCase.attributes[name] as string | undefined) ?? otherwise;
  }

  type(i: number): string {
    return this.onnxCase.inputs[i]!.dtype;
  }

  shapeOf(i: number): number[] {
    return this.onnxCase.inputs[i]!.shape;
  }

  /** The type of the first output. */
  get output(): string {
    return this.onnxCase.outputs[0]!.dtype;
  }

  /** How many outputs there are. */
  get count(): number {
    return this.onnxCase.outputs.length;
  }

  /** The shape of the first output. */
  get shape(): number[] {
    return this.onnxCase.outputs[0]!.shape;
  }
}

type Outputs = Tensor | Tensor[] | null;
type Line = (call: Call) => Outputs;

const unary =
  (op: (x: Tensor) => Tensor): Line =>
  ({ x }) =>
    op(x);
const binary =
  (op: (a: Tensor, b: Tensor) => Tensor): Line =>
  (call) =>
    op(call.at(0), call.at(1));
const reduced =
  (op: (a: Tensor, b: Tensor) => Tensor): Line =>
  ({ all }) =>
    all.reduce(op);

const isFloat = ({ dtype }: Tensor) => dtype === "f32" || dtype === "f16";
const axisOf = (axis: number, rank: number) => (axis < 0 ? axis + rank : axis);

/** `op` along one axis by way of the last. */
function alongLast(x: Tensor, axis: number, op: (x: Tensor) => Tensor): Tensor {
  const axes = x.shape.map((_, d) => d);
  const at = axisOf(axis, axes.length);
  const swapped = axes.map((d) => (d === at ? axes.length - 1 : d === axes.length - 1 ? at : d));
  return ops.permute(op(ops.permute(x, swapped)), swapped);
}

const same = (x: Tensor) => x;

/** A reduction over the axes of the second input or of an attribute, or all. */
const reduction =
  (each: typeof ops.sum, before = same, after = same): Line =>
  (call) => {
    const { x } = call;
    const named = call.list("axes") ?? (call.has(1) ? call.numbers(1) : []);
    const keepDims = call.number("keepdims", 1) === 1;
    const axes = named.length > 0 || call.number("noop_with_empty_axes", 0) ? named : undefined;
    if (isFloat(x)) return after(each(before(x), axes, { keepDims }));
    // Roots and logarithms are of floats.
    const whole = each === ops.sum || each === ops.prod || each === ops.max || each === ops.min;
    if (whole && after === same) return each(before(x), axes, { keepDims });
    return ops.cast(after(each(before(ops.cast(x, "f32")), axes, { keepDims })), x.dtype);
  };

/** Where the extreme stands. */
const argument =
  (each: typeof ops.argmax): Line =>
  (call) => {
    const [axis, options] = [call.number("axis", 0), { keepDims: call.number("keepdims", 1) === 1 }];
    // The last of equal ones is the first of them turned round.
    if (call.number("select_last_index", 0))
      return ops.sub(call.x.shape.at(axis)! - 1, each(ops.flip(call.x, axis), axis, options));
    return each(call.x, axis, options);
  };

/** Scores by class, on the second axis: the loss of each place, and their weights. */
function likelihoodLoss(call: Call, logarithms: Tensor): Tensor {
  const ignored = call.number("ignore_index", Number.NaN);
  const classes = call.numbers(1).map((id) => (id === ignored ? 0 : id));
  const [batch, ...rest] = [logarithms.shape[0]!, ...logarithms.shape.slice(2)];
  const ids = engine.tensor(classes, [batch, 1, ...rest], "u32");
  const losses = ops.neg(ops.takeAlongAxis(logarithms, ids, 1));
  const counted = engine.tensor(
    call.numbers(1).map((id) => (id === ignored ? 0 : 1)),
    ids.shape,
    logarithms.dtype,
  );
  const own = call.has(2) ? ops.mul(ops.gather(call.at(2), ids), counted) : counted;
  const each = ops.mul(losses, own);
  const way = call.word("reduction", "mean");
  if (way === "none") return ops.reshape(each, [batch, ...rest]);
  return way === "sum" ? ops.sum(each) : ops.div(ops.sum(each), ops.sum(own));
}

/** Numbers of places of an ONNX index tensor, one for each of its tuples. */
function flatPlaces(call: Call, shape: readonly number[]): { ids: Tensor; depth: number; rest: number[] } {
  const depth = call.shapeOf(1).at(-1)!;
  const numbers = call.numbers(1);
  const flat = Array.from({ length: numbers.length / depth }, (_, i) =>
    shape.slice(0, depth).reduce((at, n, d) => at * n + axisOf(numbers[i * depth + d]!, n), 0),
  );
  return { ids: engine.tensor(flat, [flat.length], "u32"), depth, rest: [...shape.slice(depth)] };
}

/** A value for each channel, axis 1, in a shape that broadcasts. */
const channels = (value: Tensor, { shape }: Tensor) =>
  ops.reshape(value, [value.size, ...shape.slice(2).map(() => 1)]);

const shift =
  (left: boolean): Line =>
  (call) => {
    const bits = Number(/\d+/.exec(call.type(0))![0]);
    const [x, by] = [call.at(0), call.at(1)];
    // Shifts by all bits or more, or by fewer than none, are those of 32 bits here.
    if (bits !== 32 && call.numbers(1).some((n) => n < 0 || n >= bits)) return null;
    return (left ? ops.shiftLeft : ops.shiftRight)(x, by);
  };

/**
 * What is added to the scores [batch, heads, queries, keys] of attention: a mask, of booleans or numbers, and minus infinity for keys
 * beyond a sequence's end, those that come later and those outside of a window. Null where nothing is.
 */
function attentionMask(
  call: Call,
  sizes: readonly [number, number, number, number],
  dtype: DType,
): Tensor | null {
  const [batch, heads, queries, keys] = sizes;
  const [left, right] = [call.number("left_window_size", -1), call.number("right_window_size", -1)];
  const causal = call.number("is_causal", 0) === 1;
  const lengths = call.has(6) ? call.numbers(6) : null;
  if (!call.has(3) && !causal && !lengths && left < 0 && right < 0) return null;
  const [shape, values] = call.has(3) ? [call.shapeOf(3), call.numbers(3)] : [[], [0]];
  const own = [...[1, 1, 1, 1].slice(shape.length), ...shape];
  const places = own.map((n, d) => (n === 1 ? 0 : own.slice(d + 1).reduce((a, b) => a * b, 1)));
  const truths = call.has(3) && call.type(3) === "bool";
  const each = (b: number, h: number, i: number, j: number) => {
    // A query's place among the keys.
    const at = i + (lengths ? lengths[b]! - queries : call.has(4) ? keys - queries : 0);
    const hidden =
      (lengths && j >= lengths[b]!) ||
      (causal && j > at) ||
      (left >= 0 && j < at - left) ||
      (right >= 0 && j > at + right) ||
      (own[3]! > 1 && j >= own[3]!);
    const value = values[[b, h, i, j].reduce((sum, at, d) => sum + at * places[d]!, 0)]!;
    return hidden || (truths && !value) ? Number.NEGATIVE_INFINITY : truths ? 0 : value;
  };
  const index = (i: number) =>
    each(
      Math.floor(i / keys / queries / heads),
      Math.floor(i / keys / queries) % heads,
      Math.floor(i / keys) % queries,
      i % keys,
    );
  return engine.tensor(
    Array.from({ length: batch * heads * queries * keys }, (_, i) => index(i)),
    sizes,
    dtype,
  );
}

/** Attention of [batch, heads, tokens, size], or [batch, tokens, heads · size]. */
function attention(call: Call): Outputs {
  if (call.number("softcap", 0)) return null;
  const flat = call.x.shape.length === 3;
  const apart = (x: Tensor, heads: number) =>
    flat ? ops.permute(ops.reshape(x, [x.shape[0]!, x.shape[1]!, heads, -1]), [0, 2, 1, 3]) : x;
  const q = apart(call.at(0), call.number("q_num_heads", 1));
  let [k, v] = [1, 2].map((i) => apart(call.at(i), call.number("kv_num_heads", 1))) as [Tensor, Tensor];
  if (call.has(4)) [k, v] = [ops.concat([call.at(4), k], 2), ops.concat([call.at(5), v], 2)];
  const present = call.count > 1 ? [k, v] : [];
  const [batch, heads, queries, size] = q.shape as [number, number, number, number];
  const [keys, width] = v.shape.slice(2) as [number, number];
  // Heads of a size that four divides, each with keys and values of its own.
  const padded = 4 * Math.ceil(Math.max(size, width) / 4);
  const columns = (x: Tensor) => {
    const own = ops.repeat(x, heads / x.shape[1]!, 1);
    const whole = ops.pad(own, [
      [0, 0],
      [0, 0],
      [0, 0],
      [0, padded - x.shape[3]!],
    ]);
    return ops.reshape(ops.permute(whole, [0, 2, 1, 3]), [batch, x.shape[2]!, heads * padded]);
  };
  const mask = attentionMask(call, [batch, heads, queries, keys], q.dtype);
  const scale = call.number("scale", 1 / Math.sqrt(size));
  const y = ops.crossAttention(columns(q), ops.concat([columns(k), columns(v)], 2), { heads, mask, scale });
  const parts = ops.slice(ops.reshape(y, [batch, queries, heads, padded]), [null, null, null, [0, width]]);
  return [ops.reshape(flat ? parts : ops.permute(parts, [0, 2, 1, 3]), call.shape), ...present];
}

/** Turns pairs of columns by the angles of places. */
function rotary(call: Call): Outputs {
  const heads = call.number("num_heads", 0);
  const apart = call.x.shape.length === 3;
  const x = apart
    ? ops.permute(ops.reshape(call.x, [call.x.shape[0]!, call.x.shape[1]!, heads, -1]), [0, 2, 1, 3])
    : call.x;
  const [batch, , tokens, size] = x.shape as [number, number, number, number];
  const part = call.number("rotary_embedding_dim", 0) || size;
  const [cos, sin] = [1, 2].map((i) => {
    const angles = call.has(3) ? ops.gather(call.at(i), call.at(3)) : call.at(i);
    return ops.reshape(angles, [batch, 1, tokens, part / 2]);
  }) as [Tensor, Tensor];
  const interleaved = call.number("interleaved", 0) === 1;
  const half = (i: number) =>
    ops.slice(x, [null, null, null, interleaved ? [i, part, 2] : [(i * part) / 2, ((i + 1) * part) / 2]]);
  const [a, b] = [half(0), half(1)];
  const turned = [ops.sub(ops.mul(a, cos), ops.mul(b, sin)), ops.add(ops.mul(a, sin), ops.mul(b, cos))];
  const joined = interleaved
    ? ops.reshape(ops.stack(turned, 4), [...x.shape.slice(0, 3), part])
    : ops.concat(turned, 3);
  const y = part < size ? ops.concat([joined, ops.slice(x, [null, null, null, [part, size]])], 3) : joined;
  return ops.reshape(apart ? ops.permute(y, [0, 2, 1, 3]) : y, call.shape);
}

/** 0, 1, 2 ... along an axis of so many, in a shape that broadcasts. */
const counted = (n: number, axis: number, rank: number) =>
  engine.tensor(
    Array.from({ length: n }, (_, i) => i),
    Array.from({ length: rank }, (_, d) => (d === axis ? n : 1)),
    "i32",
  );

/** Integers without their zero point, which are exact as f32. */
function centred(call: Call, i: number, zero: number, shape?: readonly number[]): Tensor {
  const x = ops.cast(call.at(i), "f32");
  if (!call.has(zero)) return x;
  const point = ops.cast(call.at(zero), "f32");
  return ops.sub(x, shape && point.size > 1 ? ops.reshape(point, shape) : ops.reshape(point, []));
}

/** Pictures of rows alone, or as they are. */
const asPictures = (x: Tensor) =>
  x.shape.length === 3 ? ops.reshape(x, [x.shape[0]!, x.shape[1]!, 1, x.shape[2]!]) : x;

/** The windows of a convolution or pooling of `size` as the ops here have them; null for pictures of three axes. */
function windowsOf(call: Call, size: readonly number[]) {
  const axes = call.x.shape.length - 2;
  if (axes > 2) return null;
  const ceil = call.number("ceil_mode", 0) === 1;
  const [strides, dilations] = ["strides", "dilations"].map(
    (name) => call.list(name) ?? size.map(() => 1),
  ) as [number[], number[]];
  const way = call.word("auto_pad", "NOTSET");
  const pads = call.list("pads") ?? size.flatMap(() => [0, 0]);
  const padding = size.map((n, d): [number, number] => {
    const extent = call.x.shape[d + 2]!;
    if (!way.startsWith("SAME")) {
      // Windows that end beyond the picture have a border there.
      const end = (call.shape[d + 2]! - 1) * strides[d]! + dilations[d]! * (n - 1) + 1;
      return [pads[d]!, Math.max(pads[d + axes]!, ceil ? end - extent - pads[d]! : 0)];
    }
    const covered = (Math.ceil(extent / strides[d]!) - 1) * strides[d]! + dilations[d]! * (n - 1) + 1;
    const all = Math.max(0, covered - extent);
    const [less, more] = [all >> 1, all - (all >> 1)];
    return way === "SAME_UPPER" ? [less, more] : [more, less];
  });
  const rows = <T>(values: readonly T[], one: T) => (axes === 1 ? [one, values[0]!] : values) as [T, T];
  return {
    size: rows(size, 1),
    options: {
      stride: rows(strides, 1),
      dilation: rows(dilations, 1),
      padding: rows<[number, number]>(padding, [0, 0]),
    },
  };
}

const pooling =
  (op: (x: Tensor, size: [number, number], options: ops.AveragePoolOptions) => Tensor): Line =>
  (call) => {
    const windows = windowsOf(call, call.list("kernel_shape")!);
    if (!windows) return null;
    const countPadding = call.number("count_include_pad", 0) === 1;
    // What is beyond borders counts for nothing, even where borders do.
    if (countPadding && call.number("ceil_mode", 0)) return null;
    const x = asPictures(isFloat(call.x) ? call.x : ops.cast(call.x, "f32"));
    const y = op(x, windows.size, { ...windows.options, countPadding });
    return ops.cast(ops.reshape(y, call.shape), call.x.dtype);
  };

const lines: Record<string, Line> = {
  Abs: unary(ops.abs),
  Acos: unary(ops.acos),
  Acosh: unary(ops.acosh),
  Add: binary(ops.add),
  And: binary(ops.bitAnd),
  ArgMax: argument(ops.argmax),
  ArgMin: argument(ops.argmin),
  Asin: unary(ops.asin),
  Asinh: unary(ops.asinh),
  Atan: unary(ops.atan),
  Atanh: unary(ops.atanh),
  Attention: attention,
  AveragePool: pooling(ops.averagePool2d),
  BatchNormalization: (call) => {
    if (call.number("training_mode", 0)) return null;
    const [x, scale, bias, mean, variance] = call.all as [Tensor, Tensor, Tensor, Tensor, Tensor];
    const factor = ops.mul(scale, ops.rsqrt(ops.addScalar(variance, call.number("epsilon", 1e-5))));
    return ops.add(ops.mul(ops.sub(x, channels(mean, x)), channels(factor, x)), channels(bias, x));
  },
  BitShift: (call) => shift(call.word("direction", "") === "LEFT")(call),
  BitwiseAnd: binary(ops.bitAnd),
  BitwiseNot: ({ x }) => ops.bitXor(x, x.dtype === "u32" ? 0xffffffff : -1),
  BitwiseOr: binary(ops.bitOr),
  BitwiseXor: binary(ops.bitXor),
  Cast: (call) => ops.cast(ops.detach(call.x), dtypeOf(call.output)),
  CastLike: (call) => ops.cast(ops.detach(call.x), dtypeOf(call.output)),
  Ceil: unary(ops.ceil),
  Celu: (call) => {
    const alpha = call.number("alpha", 1);
    const below = ops.scale(ops.expm1(ops.scale(call.x, 1 / alpha)), alpha);
    return ops.where(ops.greater(call.x, 0), call.x, below);
  },
  Clip: (call) => {
    const { x } = call;
    const above = call.has(1) ? ops.maximum(x, call.at(1)) : ops.add(x, 0);
    return call.has(2) ? ops.minimum(above, call.at(2)) : above;
  },
  CenterCropPad: (call) => {
    const { x, shape } = call;
    const spare = (d: number) => x.shape[d]! - shape[d]!;
    const cut = ops.slice(
      x,
      x.shape.map((n, d) => (spare(d) > 0 ? [spare(d) >> 1, (spare(d) >> 1) + shape[d]!] : [0, n])),
    );
    return ops.pad(
      cut,
      x.shape.map((_, d) => (spare(d) < 0 ? [-spare(d) >> 1, -spare(d) - (-spare(d) >> 1)] : [0, 0])),
    );
  },
  // The host knows which.
  Compress: (call) => {
    const axis = call.list("axis") as unknown as number | undefined;
    const x = axis === undefined ? ops.reshape(call.x, [-1]) : call.x;
    const ids = call.numbers(1).flatMap((chosen, i) => (chosen ? [i] : []));
    return ops.gather(x, engine.tensor(ids, [ids.length], "u32"), axis ?? 0);
  },
  Concat: (call) => ops.concat(call.all, call.number("axis", 0)),
  Conv: (call) => {
    const windows = windowsOf(call, call.shapeOf(1).slice(2));
    if (!windows) return null;
    const options = { ...windows.options, groups: call.number("group", 1) };
    const bias = call.has(2) ? call.at(2) : null;
    return ops.reshape(
      ops.conv2d(asPictures(call.x), asPictures(call.at(1)), { ...options, bias }),
      call.shape,
    );
  },
  ConvInteger: (call) => {
    const windows = windowsOf(call, call.shapeOf(1).slice(2));
    if (!windows) return null;
    const weight = centred(call, 1, 3, [-1, 1, 1, 1]);
    return ops.cast(ops.conv2d(centred(call, 0, 2), weight, windows.options), "i32");
  },
  ConvTranspose: (call) => {
    const windows = windowsOf(call, call.shapeOf(1).slice(2));
    // Borders that follow from the result's shape are not the op's.
    if (!windows || call.list("output_shape") || call.word("auto_pad", "NOTSET") !== "NOTSET") return null;
    const more = call.list("output_padding") ?? [0, 0];
    const outputPadding: [number, number] = more.length === 1 ? [0, more[0]!] : [more[0]!, more[1]!];
    const options = { ...windows.options, groups: call.number("group", 1), outputPadding };
    const bias = call.has(2) ? call.at(2) : null;
    return ops.reshape(
      ops.convTranspose2d(asPictures(call.x), asPictures(call.at(1)), { ...options, bias }),
      call.shape,
    );
  },
  Cos: unary(ops.cos),
  Cosh: unary(ops.cosh),
  CumSum: (call) => {
    const [exclusive, reverse] = [call.number("exclusive", 0) === 1, call.number("reverse", 0) === 1];
    return ops.cumsum(call.x, call.numbers(1)[0]!, { exclusive, reverse });
  },
  DepthToSpace: (call) => {
    const [[batch, depth, height, width], block] = [call.x.shape as number[], call.number("blocksize", 1)];
    const channels = depth! / block ** 2;
    const [shape, axes] =
      call.word("mode", "DCR") === "DCR"
        ? [
            [batch!, block, block, channels, height!, width!],
            [0, 3, 4, 1, 5, 2],
          ]
        : [
            [batch!, channels, block, block, height!, width!],
            [0, 1, 4, 2, 5, 3],
          ];
    return ops.reshape(ops.permute(ops.reshape(call.x, shape!), axes!), call.shape);
  },
  Div: binary(ops.div),
  // Of training the numbers drawn are others.
  Dropout: (call) => (call.count > 1 || (call.has(2) && call.numbers(2)[0]) ? null : ops.detach(call.x)),
  Einsum: (call) => ops.einsum(call.word("equation", ""), ...call.all),
  Elu: (call) => ops.elu(call.x, call.number("alpha", 1)),
  Equal: binary(ops.equal),
  Erf: unary(ops.erf),
  Exp: unary(ops.exp),
  Expand: (call) => ops.expand(call.x, call.shape),
  Flatten: (call) => ops.reshape(call.x, call.shape),
  Floor: unary(ops.floor),
  Gather: (call) => ops.gather(call.x, call.at(1), call.number("axis", 0)),
  GatherElements: (call) => ops.takeAlongAxis(call.x, call.at(1), call.number("axis", 0)),
  GatherND: (call) => {
    if (call.number("batch_dims", 0)) return null;
    const { ids, rest } = flatPlaces(call, call.x.shape);
    const rows = ops.reshape(call.x, [-1, ...rest]);
    return ops.reshape(ops.gather(rows, ids), call.shape);
  },
  Gelu: (call) => (call.word("approximate", "none") === "tanh" ? ops.geluTanh : ops.gelu)(call.x),
  Gemm: (call) => {
    const [a, b] = [call.at(0), call.at(1)];
    const options = {
      transposeA: call.number("transA", 0) === 1,
      transposeB: call.number("transB", 0) === 1,
    };
    const y = ops.matmul(a, b, { ...options, scale: call.number("alpha", 1) });
    return call.has(2) ? ops.add(y, ops.scale(call.at(2), call.number("beta", 1))) : y;
  },
  GlobalAveragePool: (call) => ops.reshape(ops.mean(pictures(call.x), 1), call.shape),
  GlobalMaxPool: (call) => ops.reshape(ops.max(pictures(call.x), 1), call.shape),
  Greater: binary(ops.greater),
  GreaterOrEqual: binary(ops.greaterEqual),
  GroupNormalization: (call) => {
    const [x, scale, bias] = call.all as [Tensor, Tensor, Tensor];
    return ops.groupnorm(x, call.number("num_groups", 1), scale, bias, { eps: call.number("epsilon", 1e-5) });
  },
  Hardmax: (call) => {
    const [{ x }, axis] = [call, axisOf(call.number("axis", -1), call.x.shape.length)];
    const winner = ops.cast(ops.argmax(x, axis, { keepDims: true }), "i32");
    return ops.cast(ops.equal(counted(x.shape[axis]!, axis, x.shape.length), winner), x.dtype);
  },
  HardSigmoid: (call) => hardSigmoid(call.x, call.number("alpha", 0.2), call.number("beta", 0.5)),
  HardSwish: ({ x }) => ops.mul(x, hardSigmoid(x, 1 / 6, 0.5)),
  Identity: unary(ops.detach),
  InstanceNormalization: (call) => {
    const [x, scale, bias] = call.all as [Tensor, Tensor, Tensor];
    return ops.groupnorm(x, x.shape[1]!, scale, bias, { eps: call.number("epsilon", 1e-5) });
  },
  IsInf: (call) => {
    const infinity = Number.POSITIVE_INFINITY;
    const above = ops.equal(call.x, call.number("detect_positive", 1) ? infinity : Number.NaN);
    return ops.bitOr(above, ops.equal(call.x, call.number("detect_negative", 1) ? -infinity : Number.NaN));
  },
  IsNaN: ({ x }) => ops.notEqual(x, x),
  LayerNormalization: (call) => {
    const [x, gamma, beta] = call.all as [Tensor, Tensor, Tensor];
    const rows = ops.reshape(x, [x.size / gamma.size, gamma.size]);
    const eps = call.number("epsilon", 1e-5);
    const flat = (value: Tensor) => ops.reshape(value, [value.size]);
    return ops.reshape(ops.layernorm(rows, flat(gamma), flat(beta), { eps }), x.shape);
  },
  LeakyRelu: (call) => ops.leakyRelu(call.x, call.number("alpha", 0.01)),
  Less: binary(ops.less),
  LessOrEqual: binary(ops.lessEqual),
  Log: unary(ops.log),
  LogSoftmax: (call) => ops.logSoftmax(call.x, call.number("axis", -1)),
  LpNormalization: (call) => {
    const axis = call.number("axis", -1);
    if (call.number("p", 2) === 2) return alongLast(call.x, axis, ops.normalize);
    return alongLast(call.x, axis, (x) => {
      const sums = ops.sum(ops.abs(x), -1);
      return ops.div(x, ops.reshape(sums, [...sums.shape, 1]));
    });
  },
  LpPool: (call) => {
    const p = call.number("p", 2);
    const size = call.list("kernel_shape")!;
    const windows = windowsOf(call, size);
    if (!windows) return null;
    const mean = ops.averagePool2d(ops.pow(ops.abs(asPictures(call.x)), p), windows.size, windows.options);
    return ops.reshape(
      ops.pow(
        ops.scale(
          mean,
          size.reduce((a, b) => a * b),
        ),
        1 / p,
      ),
      call.shape,
    );
  },
  MatMul: binary(ops.matmul),
  MatMulInteger: (call) => ops.cast(ops.matmul(centred(call, 0, 2), centred(call, 1, 3)), "i32"),
  Max: reduced(ops.maximum),
  Mean: ({ all }) => ops.scale(all.reduce(ops.add), 1 / all.length),
  MaxPool: pooling(ops.maxPool2d),
  MeanVarianceNormalization: (call) => {
    const axes = call.list("axes") ?? [0, 2, 3];
    const mean = (x: Tensor) => {
      const means = [...axes].sort((a, b) => b - a).reduce<Tensor>((y, axis) => ops.mean(y, axis), x);
      return ops.reshape(
        means,
        x.shape.map((n, d) => (axes.includes(d) ? 1 : n)),
      );
    };
    const apart = ops.sub(call.x, mean(call.x));
    return ops.div(apart, ops.sqrt(ops.addScalar(mean(ops.square(apart)), 1e-9)));
  },
  Min: reduced(ops.minimum),
  Mish: unary(ops.mish),
  Mod: (call) => {
    const [a, b] = [call.at(0), call.at(1)];
    // The sign of a remainder of C is that of a.
    if (isFloat(a) && !call.number("fmod", 0)) return ops.mod(a, b);
    if (isFloat(a)) return ops.mul(ops.sign(a), ops.mod(ops.abs(a), ops.abs(b)));
    return call.number("fmod", 0) ? ops.sub(a, ops.mul(ops.div(a, b), b)) : ops.mod(a, b);
  },
  Mul: binary(ops.mul),
  NegativeLogLikelihoodLoss: (call) => likelihoodLoss(call, call.x),
  Neg: unary(ops.neg),
  Not: ({ x }) => ops.bitXor(x, 1),
  OneHot: (call) => {
    const depth = call.numbers(1)[0]!;
    const axis = axisOf(call.number("axis", -1), call.shape.length);
    const ids = ops.cast(call.at(0), "i32");
    const shape = [...ids.shape.slice(0, axis), 1, ...ids.shape.slice(axis)];
    const places = ops.reshape(ops.where(ops.less(ids, 0), ops.add(ids, depth), ids), shape);
    const [off, on] = ops.split(call.at(2), 2);
    return ops.where(ops.equal(places, counted(depth, axis, shape.length)), on!, off!);
  },
  Or: binary(ops.bitOr),
  PRelu: (call) => ops.where(ops.less(call.x, 0), ops.mul(call.x, call.at(1)), call.x),
  Pad: (call) => {
    const { x } = call;
    const axes = call.has(3)
      ? call.numbers(3).map((axis) => axisOf(axis, x.shape.length))
      : x.shape.map((_, d) => d);
    const widths = call.numbers(1);
    if (widths.some((width) => width < 0)) return null;
    const mode = call.word("mode", "constant") as ops.PadMode;
    const value = call.has(2) ? call.numbers(2)[0]! : 0;
    const pairs = x.shape.map((_, d): [number, number] => {
      const at = axes.indexOf(d);
      return at < 0 ? [0, 0] : [widths[at]!, widths[at + axes.length]!];
    });
    return ops.pad(x, pairs, { mode, value });
  },
  Pow: (call) => {
    const [x, exponent] = call.all as [Tensor, Tensor];
    if (isFloat(x)) return ops.pow(x, ops.cast(exponent, x.dtype));
    return ops.cast(ops.round(ops.pow(ops.cast(x, "f32"), ops.cast(exponent, "f32"))), x.dtype);
  },
  RMSNormalization: (call) => {
    const [x, scale] = call.all as [Tensor, Tensor];
    const rows = ops.reshape(x, [x.size / scale.size, scale.size]);
    const gamma = ops.reshape(scale, [scale.size]);
    return ops.reshape(ops.rmsnorm(rows, gamma, { eps: call.number("epsilon", 1e-5) }), x.shape);
  },
  Reciprocal: unary(ops.reciprocal),
  ReduceL1: reduction(ops.sum, ops.abs),
  ReduceL2: reduction(ops.sum, ops.square, ops.sqrt),
  ReduceLogSum: reduction(ops.sum, same, ops.log),
  ReduceLogSumExp: reduction(ops.logSumExp),
  ReduceMax: reduction(ops.max),
  ReduceMean: reduction(ops.mean),
  ReduceMin: reduction(ops.min),
  ReduceProd: reduction(ops.prod),
  ReduceSum: reduction(ops.sum),
  ReduceSumSquare: reduction(ops.sum, ops.square),
  Relu: unary(ops.relu),
  Reshape: (call) => ops.reshape(call.x, call.shape),
  ReverseSequence: (call) => {
    const [time, across] = [call.number("time_axis", 0), call.number("batch_axis", 1)];
    const [steps, lengths] = [call.x.shape[time]!, call.numbers(1)];
    const ids = Array.from({ length: call.x.size }, (_, i) => {
      const [row, column] = [Math.floor(i / call.x.shape[1]!), i % call.x.shape[1]!];
      const [t, b] = time === 0 ? [row, column] : [column, row];
      return t < lengths[b]! ? lengths[b]! - 1 - t : t;
    });
    if (call.x.shape.length !== 2 || across === time || steps === 0) return null;
    return ops.takeAlongAxis(call.x, engine.tensor(ids, call.x.shape, "u32"), time);
  },
  RotaryEmbedding: rotary,
  Round: unary(ops.round),
  ScatterElements: (call) => {
    if (call.word("reduction", "none") !== "add") return null;
    return ops.addAlongAxis(call.x, call.at(1), call.at(2), call.number("axis", 0));
  },
  ScatterND: (call) => {
    if (call.word("reduction", "none") !== "add") return null;
    const { x } = call;
    const { ids, rest } = flatPlaces(call, x.shape);
    const rows = ops.reshape(x, [-1, ...rest]);
    const updates = ops.reshape(call.at(2), [ids.size, ...rest]);
    return ops.reshape(ops.scatterAdd(rows, ids, updates), x.shape);
  },
  Selu: (call) => {
    const alpha = call.number("alpha", 1.6732631921768188);
    return ops.scale(ops.elu(call.x, alpha), call.number("gamma", 1.0507010221481323));
  },
  Shrink: (call) => {
    const [bias, lambd] = [call.number("bias", 0), call.number("lambd", 0.5)];
    const { x } = call;
    const above = ops.where(ops.greater(x, lambd), ops.addScalar(x, -bias), 0);
    return ops.where(ops.less(x, -lambd), ops.addScalar(x, bias), above);
  },
  Sigmoid: unary(ops.sigmoid),
  Sign: unary(ops.sign),
  Sin: unary(ops.sin),
  Sinh: unary(ops.sinh),
  Slice: (call) => {
    const { x } = call;
    const [starts, ends] = [call.numbers(1), call.numbers(2)];
    const axes = call.has(3)
      ? call.numbers(3).map((axis) => axisOf(axis, x.shape.length))
      : starts.map((_, d) => d);
    const steps = call.has(4) ? call.numbers(4) : starts.map(() => 1);
    const ranges = x.shape.map((_, d): ops.Range => {
      const at = axes.indexOf(d);
      return at < 0 ? null : [starts[at]!, ends[at]!, steps[at]!];
    });
    return ops.slice(x, ranges);
  },
  Softmax: (call) => ops.softmax(call.x, call.number("axis", -1)),
  SoftmaxCrossEntropyLoss: (call) => {
    const logarithms = ops.logSoftmax(call.x, 1);
    return [likelihoodLoss(call, logarithms), logarithms];
  },
  Softplus: unary(ops.softplus),
  Softsign: ({ x }) => ops.div(x, ops.addScalar(ops.abs(x), 1)),
  SpaceToDepth: (call) => {
    const [[batch, depth, height, width], block] = [call.x.shape as number[], call.number("blocksize", 1)];
    const shape = [batch!, depth!, height! / block, block, width! / block, block];
    const axes = call.word("mode", "DCR") === "DCR" ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4];
    return ops.reshape(ops.permute(ops.reshape(call.x, shape), axes), call.shape);
  },
  Split: (call) => {
    const { x } = call;
    const axis = call.number("axis", 0);
    const extent = x.shape.at(axis)!;
    const count = call.count;
    const part = Math.ceil(extent / count);
    const even = Array.from({ length: count }, (_, i) => Math.min(part, extent - i * part));
    return ops.split(x, call.has(1) ? call.numbers(1) : even, axis);
  },
  Sqrt: unary(ops.sqrt),
  Squeeze: (call) => ops.reshape(call.x, call.shape),
  Sub: binary(ops.sub),
  Sum: reduced(ops.add),
  SwiGLU: (call) => {
    const [gate, value] = call.all as [Tensor, Tensor];
    return ops.mul(ops.mul(gate, ops.sigmoid(ops.scale(gate, call.number("alpha", 1)))), value);
  },
  Swish: (call) => {
    const alpha = call.number("alpha", 1);
    return alpha === 1 ? ops.silu(call.x) : ops.mul(call.x, ops.sigmoid(ops.scale(call.x, alpha)));
  },
  Tan: unary(ops.tan),
  Tanh: unary(ops.tanh),
  ThresholdedRelu: (call) => ops.where(ops.greater(call.x, call.number("alpha", 1)), call.x, 0),
  TopK: (call) => {
    const largest = call.number("largest", 1) === 1;
    const rank = call.x.shape.length;
    if (rank > 2 || axisOf(call.number("axis", -1), rank) !== rank - 1) return null;
    // Integers small enough to be exact in f32.
    const floats = isFloat(call.x) ? call.x : ops.cast(call.x, "f32");
    const x = ops.reshape(floats, [-1, call.x.shape[rank - 1]!]);
    const { values, indices } = ops.topk(largest ? x : ops.neg(x), call.numbers(1)[0]!);
    const own = ops.cast(largest ? values : ops.neg(values), call.x.dtype);
    return [ops.reshape(own, call.shape), ops.reshape(indices, call.shape)];
  },
  Tile: (call) => ops.tile(call.x, call.numbers(1)),
  Transpose: (call) => ops.permute(call.x, call.list("perm") ?? call.x.shape.map((_, d) => d).reverse()),
  Trilu: (call) => {
    const { x, shape } = call;
    const [rows, columns] = shape.slice(-2) as [number, number];
    const k = call.has(1) ? call.numbers(1)[0]! : 0;
    const upper = call.number("upper", 1) === 1;
    const kept = Array.from({ length: rows * columns }, (_, i) => {
      const above = (i % columns) - Math.floor(i / columns) - k;
      return Number(upper ? above >= 0 : above <= 0);
    });
    return ops.where(engine.tensor(kept, [rows, columns], "u32"), x, 0);
  },
  Unsqueeze: (call) => ops.reshape(call.x, call.shape),
  Where: (call) => ops.where(call.at(0), call.at(1), call.at(2)),
  Xor: binary(ops.bitXor),
};

/** Rows of the places of each picture's channel. */
const pictures = (x: Tensor) =>
  ops.reshape(x, [x.shape[0]! * x.shape[1]!, x.size / x.shape[0]! / x.shape[1]!]);
const hardSigmoid = (x: Tensor, alpha: number, beta: number) =>
  ops.clamp(ops.addScalar(ops.scale(x, alpha), beta), 0, 1);

/** What an integer is in the bits of an ONNX type. */
function inBits(type: string, value: number): number {
  const bits = type === "bool" ? 32 : Math.min(32, Number(/\d+/.exec(type)![0]));
  return type.startsWith("int")
    ? (value << (32 - bits)) >> (32 - bits)
    : (value << (32 - bits)) >>> (32 - bits);
}

function differences(got: HostArray, { dtype, shape, data }: Stored, shapeHere: readonly number[]): string[] {
  const wanted = Float64Array.from(valuesOf({ dtype, shape, data }));
  if (`${shapeHere}` !== `${shape}`) return [`shape [${shapeHere}], not [${shape}]`];
  if (typeof data !== "string") {
    const wrong = Array.from(wanted.keys()).filter(
      (i) => inBits(dtype, got[i]!) !== inBits(dtype, wanted[i]!),
    );
    return wrong.length > 0 ? [`${got[wrong[0]!]} at ${wrong[0]}, not ${wanted[wrong[0]!]}`] : [];
  }
  const error = relativeError(got, wanted);
  const allowed = dtype === "float16" ? 2e-3 : 1e-5;
  return error <= allowed ? [] : [`relative error ${error.toExponential(2)}`];
}

/** Whether the engine holds what the case is about. */
function holds({ inputs, outputs }: OnnxCase): boolean {
  return [...inputs, ...outputs].every((stored) => {
    if (!stored) return true;
    const { dtype, data } = stored;
    if (dtype === "float16" && !engine.hasF16) return false;
    const [low, high] = dtype.startsWith("int") ? [-(2 ** 31), 2 ** 31 - 1] : [0, 2 ** 32 - 1];
    return typeof data === "string" || data.every((value) => value >= low && value <= high);
  });
}

const right = new Map<string, number>();
const wrong: string[] = [];
const left = new Map(Object.entries(leftOut));
const count = (counts: Map<string, number>, op: string) => counts.set(op, (counts.get(op) ?? 0) + 1);
const told = (counts: Map<string, number>) =>
  [...counts]
    .map(([op, n]) => (n > 1 ? `${op} ${n}` : op))
    .sort()
    .join(", ");

for (const onnxCase of cases) {
  const { name, op, outputs } = onnxCase;
  const made =
    op in lines && holds(onnxCase)
      ? engine.inference(() => {
          const result = lines[op]!(new Call(onnxCase));
          return result === null || Array.isArray(result) ? result : [result];
        })
      : null;
  if (!made) {
    count(left, op);
    continue;
  }
  test(name, async () => {
    const failures: string[] = [];
    for (const [i, tensor] of made.entries()) {
      if (i < outputs.length) failures.push(...differences(await tensor.read(), outputs[i]!, tensor.shape));
      tensor.dispose();
    }
    if (failures.length > 0) wrong.push(name);
    else count(right, op);
    assert.equal(failures, []);
  });
}

test("enough of ONNX is there", () => {
  const sum = [...right.values()].reduce((a, b) => a + b, 0);
  console.log(`\nONNX ${onnx}: ${sum} right of ${sum + wrong.length} tried: ${told(right)}`);
  console.log(`left out: ${told(left)}`);
  if (engine.hasF16) assert.ok(sum >= 800, `${sum} right`);
});

test.after(() => engine.dispose());

test.run();
