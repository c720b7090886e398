// What does not fit is a TensorError that names the op and the shapes, before anything reaches the device.
import { readdirSync, readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type Tensor, TensorError } from "../engine/index.ts";
import { crossAttention, selfAttention } from "../kernels/attention/attention.ts";
import { backward } from "../kernels/backward.ts";
import { conv2d, convTranspose2d } from "../kernels/conv/conv.ts";
import { averagePool2d, maxPool2d } from "../kernels/conv/pool.ts";
import { accumulateInto, clampInPlace } from "../kernels/elementwise/accumulate.ts";
import { add, bitAnd, bitOr, less, minimum, pow, sub, where } from "../kernels/elementwise/arithmetic.ts";
import { castInto } from "../kernels/elementwise/cast.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import { packHalves, unpackHalves } from "../kernels/elementwise/halves.ts";
import { clamp, gelu } from "../kernels/elementwise/unary.ts";
import { addPositions, embedding } from "../kernels/embedding/embedding.ts";
import { addAlongAxis, gather, scatterAdd, takeAlongAxis } from "../kernels/gather/gather.ts";
import * as kernels from "../kernels/index.ts";
import { groupnorm } from "../kernels/layernorm/groupnorm.ts";
import { layernorm, rmsnorm } from "../kernels/layernorm/layernorm.ts";
import { einsum } from "../kernels/matmul/einsum.ts";
import { linear, matmul } from "../kernels/matmul/matmul.ts";
import { normSquared, parameterGroup } from "../kernels/optimizer/optimizer.ts";
import { SGD } from "../kernels/optimizer/sgd.ts";
import { packBytes, patchify, pixelsToFloat, prependToken } from "../kernels/patch/patch.ts";
import { argmax, argmin, max, mean, min, prod, sum, sumLeading } from "../kernels/reduce/reduce.ts";
import { cumsum } from "../kernels/scan/scan.ts";
import { type PadMode, pad } from "../kernels/shape/pad.ts";
import { expand, permute, repeat, reshape, tile } from "../kernels/shape/reshape.ts";
import { concat, flip, slice, split, stack } from "../kernels/shape/slice.ts";
import { logSumExp } from "../kernels/softmax/log-sum-exp.ts";
import { softmax } from "../kernels/softmax/softmax.ts";
import { topk } from "../kernels/topk/topk.ts";

const engine = await Engine.create();
const f32 = (...shape: number[]) => engine.zeros(shape);
const i32 = (...shape: number[]) => engine.zeros(shape, "i32");
const u32 = (...shape: number[]) => engine.zeros(shape, "u32");
const key = { key: 1, stream: 0 };
const heads = 2;
/** A weight that two layers share. */
const twice = f32(2);
const kernelFolder = new URL("../kernels/", import.meta.url);
const words = (bytes: number) => engine.tensor(packBytes(new Uint8Array(bytes)), [bytes / 4], "u32");
const rgb = [0.5, 0.5, 0.5] as const;

const calls: [call: () => unknown, message: string][] = [
  [() => add(f32(2, 3), f32(3, 2)), "add: [2,3] and [3,2] do not broadcast."],
  [() => add(f32(2), u32(2)), "add: f32[2] and u32[2] differ in dtype."],
  [
    () => add(f32(2, 1, 2, 1, 2, 1, 2, 1, 2), f32(1, 2, 1, 2, 1, 2, 1, 2, 1)),
    "add: [2,2,2,2,2,2,2,2,2] has more than eight dimensions that lie apart.",
  ],
  [() => add(1, 2), "add: needs a tensor."],
  [() => add(u32(2), -1), "add: -1 is no u32."],
  [() => less(u32(2), 0.5), "less: 0.5 is no u32."],
  [() => add(f32(2), null as never), "add: null is neither a tensor nor a number."],
  [() => slice(f32(2), 1 as never), "slice: 1 is no list of ranges."],
  [() => engine.jit(3 as never), "jit: 3 is no function."],
  [() => engine.zeros(3 as never), "A tensor: a shape is a list of whole numbers from 0 on, not 3."],
  [
    () => engine.tensor([1, 2], undefined as never),
    "tensor: a shape is a list of whole numbers from 0 on, not undefined.",
  ],
  [() => engine.tensor([1, 2], [-2]), "tensor: a shape is a list of whole numbers from 0 on, not -2."],
  [() => engine.empty([2], "toString" as never), "A tensor can't be of toString."],
  [() => dropout(f32(2), 0.5, undefined as never), "dropout: needs a random key, not undefined."],
  [() => minimum(i32(2), 2 ** 31), "minimum: 2147483648 is no i32."],
  [() => pow(u32(2), u32(2)), "pow: needs f32 or f16, not u32[2]."],
  [() => pow(u32(2), 3), "powScalar: needs f32 or f16, not u32[2]."],
  [() => bitOr(f32(2), f32(2)), "bitOr: needs u32 or i32, not f32[2]."],
  [() => bitAnd(u32(2), i32(2)), "bitAnd: u32[2] and i32[2] differ in dtype."],
  [() => where(f32(2), f32(2), f32(2)), "where: the condition must be u32, not f32[2]."],
  [() => where(u32(2), f32(2), u32(2)), "where: f32[2] and u32[2] differ in dtype."],
  [() => where(u32(3), f32(2), f32(1)), "where: [2] and [1] and [3] do not broadcast."],
  [() => clamp(f32(2), 2, 1), "clamp: [2, 1] is no interval."],
  [() => clamp(f32(2), Number.NaN), "clamp: [NaN, Infinity] is no interval."],
  [() => gelu(u32(3)), "gelu: needs f32 or f16, not u32[3]."],
  [() => dropout(f32(2), 1, key), "dropout: the probability must be in [0, 1), not 1."],
  [() => castInto(f32(2), f32(2)), "cast: f32[2] does not fit f32[2]."],
  [() => accumulateInto(f32(2), f32(3)), "accumulateInto: f32[3] does not fit f32[2]."],
  [() => clampInPlace(f32(2), 2, 1), "clampInPlace: [2, 1] is no interval."],
  [() => matmul(f32(2, 3), f32(2, 3)), "matmul: [2,3] by [2,3] does not fit."],
  [
    () => matmul(f32(2, 3), f32(3, 2), { transposeA: true }),
    "matmul: [2,3] transposed by [3,2] does not fit.",
  ],
  [
    () => matmul(f32(2, 3), f32(3, 2), { transposeB: true }),
    "matmul: [2,3] by [3,2] transposed does not fit.",
  ],
  [() => matmul(f32(), f32(2)), "matmul: [] by [2] does not fit."],
  [() => matmul(f32(2), f32(3, 2)), "matmul: [2] by [3,2] does not fit."],
  [() => matmul(f32(2), f32(2), { transposeA: true }), "matmul: [2] transposed by [2] does not fit."],
  [() => einsum("ij->jk->k", f32(2, 3)), 'einsum "ij->jk->k": is no equation.'],
  [() => einsum("i1,j", f32(2), f32(2)), 'einsum "i1,j": is no equation.'],
  [() => einsum("ij,jk->ik", f32(2, 3)), 'einsum "ij,jk->ik": 2 operands are named, 1 given.'],
  [() => einsum("ij->i", f32(2)), 'einsum "ij->i": "ij" does not name the axes of [2].'],
  [() => einsum("ij,jk->ik", f32(2, 3), f32(2, 3)), 'einsum "ij,jk->ik": "j" is 3 and 2.'],
  [() => einsum("ij->ik", f32(2, 3)), 'einsum "ij->ik": the result can\'t have "k".'],
  [() => einsum("ij->ii", f32(2, 3)), 'einsum "ij->ii": the result can\'t have "i".'],
  [() => matmul(f32(4, 2, 3), f32(5, 3, 2)), "matmul: [4,2,3] by [5,3,2] does not fit."],
  [() => linear(f32(2, 3), f32(4, 5)), "linear: input [2,3] does not fit the weight [4,5]."],
  [() => linear(f32(2, 3), f32(4, 3), { bias: f32(3) }), "linear: bias [3] does not fit 4 outputs."],
  [() => linear(f32(2, 3), f32(4, 3), { residual: f32(4) }), "linear: residual [4] does not fit [2,4]."],
  [
    () => selfAttention(f32(2, 24), { heads }),
    "qkv must be f32 or f16 [batch, tokens, columns], not f32[2,24].",
  ],
  [() => selfAttention(f32(1, 2, 25), { heads }), "columns do not divide into 2 heads."],
  [() => selfAttention(f32(1, 2, 18), { heads }), "the head size 3 is no multiple of 4."],
  [
    () => selfAttention(f32(1, 2, 24), { heads, mask: i32(1, 2) }),
    "the mask must be u32 [1, 2], not i32[1,2].",
  ],
  [
    () => selfAttention(f32(1, 2, 24), { heads, mask: f32(3, 2) }),
    "selfAttention: the mask f32[3,2] does not broadcast to [1,2,2,2].",
  ],
  [() => selfAttention(f32(1, 2, 24), { heads, mask: u32(3) }), "the mask must be u32 [1, 2], not u32[3]."],
  [
    () => selfAttention(f32(1, 2, 24), { heads, dropout: { probability: -0.1, key } }),
    "the dropout probability -0.1 is not in [0, 1).",
  ],
  [() => crossAttention(f32(1, 2, 8), f32(1, 2, 8), { heads }), "it needs 16 columns."],
  [() => crossAttention(f32(2, 2, 8), f32(1, 2, 16), { heads }), "2 rows of q and 1 of kv need a source."],
  [
    () => crossAttention(f32(2, 2, 8), f32(1, 2, 16), { heads, source: Uint32Array.of(0) }),
    "1 sources for 2 rows of q.",
  ],
  [
    () => crossAttention(f32(2, 2, 8), f32(1, 2, 16), { heads, source: Uint32Array.of(0, 1) }),
    "source[1] is 1, kv has 1 rows.",
  ],
  [() => layernorm(f32(2, 3), f32(2), f32(3)), "layernorm: gamma [2] or beta [3] does not fit rows of 3."],
  [() => layernorm(f32(2, 3), f32(3), f32(2)), "layernorm: gamma [3] or beta [2] does not fit rows of 3."],
  [
    () => layernorm(f32(2, 3), f32(3), f32(3), { residual: f32(3, 2) }),
    "layernorm: residual [3,2] does not fit [2,3].",
  ],
  [
    () => layernorm(f32(2, 3), f32(3), f32(3), { dropout: { probability: 0.5, key } }),
    "layernorm: dropout needs a probability in [0, 1), not 0.5, and a residual.",
  ],
  [() => rmsnorm(f32(2, 3), f32(2)), "rmsnorm: gamma [2] does not fit rows of 3."],
  [() => groupnorm(f32(2, 3, 4), 2, f32(3), f32(3)), "groupnorm: [2,3,4] has no channels of 2 groups."],
  [() => groupnorm(f32(2), 1, f32(3), f32(3)), "groupnorm: [2] has no channels of 1 groups."],
  [
    () => groupnorm(f32(2, 4, 3), 2, f32(4), f32(3)),
    "groupnorm: gamma [4] or beta [3] does not fit 4 channels.",
  ],
  [() => softmax(engine.tensor([1], [])), "softmax: [] has no axis -1."],
  [
    () => embedding(f32(3, 4), f32(2)),
    "embedding: needs a table [V, C] and ids u32, not f32[3,4] and f32[2].",
  ],
  [() => embedding(f32(3), u32(2)), "embedding: needs a table [V, C] and ids u32, not f32[3] and u32[2]."],
  [() => addPositions(f32(1, 5, 4), f32(4, 4)), "addPositions: table [4,4] does not fit [1,5,4]."],
  [() => patchify(f32(1, 3, 5, 4), 2), "patchify: [1,3,5,4] is no [B, C, H, W] of whole patches of 2."],
  [() => pixelsToFloat(words(12), [1, 2, 3, 3], rgb, rgb), "pixelsToFloat: u32[3] does not fill [1,2,3,3]"],
  [() => pixelsToFloat(words(12), [1, 2, 2, 3], [0], rgb), "pixelsToFloat"],
  [() => packHalves(f32(3)), "packHalves: needs an even number of f32, not f32[3]."],
  [() => packHalves(u32(2)), "packHalves: needs an even number of f32, not u32[2]."],
  [() => unpackHalves(u32(3), [5]), "unpackHalves: u32[3] does not fill [5]."],
  [() => unpackHalves(f32(3), [6]), "unpackHalves: f32[3] does not fill [6]."],
  [
    () => prependToken(f32(2, 3, 4), f32(4), f32(3, 4)),
    "prependToken: token [4] or positions [3,4] does not fit [2,3,4].",
  ],
  [
    () => conv2d(f32(1, 3, 4, 4), f32(2, 4, 3, 3)),
    "conv2d: [1,3,4,4] and weights [2,4,3,3] do not fit, of 1 groups.",
  ],
  [
    () => conv2d(f32(3, 4, 4), f32(2, 3, 3, 3)),
    "conv2d: [3,4,4] and weights [2,3,3,3] do not fit, of 1 groups.",
  ],
  [
    () => conv2d(f32(1, 4, 4, 4), f32(3, 2, 3, 3), { groups: 2 }),
    "conv2d: [1,4,4,4] and weights [3,2,3,3] do not fit, of 2 groups.",
  ],
  [() => conv2d(f32(1, 3, 4, 4), f32(2, 3, 5, 5)), "conv2d: a window of 5 by 5 has no room in 4 by 4."],
  [
    () => conv2d(f32(1, 3, 4, 4), f32(2, 3, 3, 3), { stride: 0 }),
    "conv2d: strides must be whole numbers from 1 on, not 0.",
  ],
  [
    () => conv2d(f32(1, 3, 4, 4), f32(2, 3, 3, 3), { padding: [1, 0.5] }),
    "conv2d: paddings must be whole numbers from 0 on, not 0.5.",
  ],
  [
    () => conv2d(f32(1, 3, 4, 4), f32(2, 3, 3, 3), { bias: f32(3) }),
    "conv2d: bias [3] does not fit 2 channels.",
  ],
  [() => conv2d(f32(1, 3, 4, 4), u32(2, 3, 3, 3)), "conv2d: needs f32 or f16, not u32[2,3,3,3]."],
  [
    () => convTranspose2d(f32(1, 3, 4, 4), f32(2, 3, 3, 3)),
    "convTranspose2d: [1,3,4,4] and weights [2,3,3,3] do not fit, of 1 groups.",
  ],
  [
    () => convTranspose2d(f32(1, 3, 4, 4), f32(3, 2, 3, 3), { stride: 2, outputPadding: 2 }),
    "convTranspose2d: no output padding of 2 with a stride of 2.",
  ],
  [() => maxPool2d(f32(3, 4, 4), 2), "maxPool2d: [3,4,4] is no [B, C, H, W]."],
  [() => maxPool2d(f32(1, 1, 4, 4), 0), "maxPool2d: windows must be whole numbers from 1 on, not 0."],
  [
    () => averagePool2d(f32(1, 1, 4, 4), 2, { padding: 2 }),
    "averagePool2d: borders of 2,2,2,2 are wider than windows of 2 by 2.",
  ],
  [() => sum(f32(2, 3), 2), "sum: [2,3] has no axis 2."],
  [() => mean(f32(2, 3), -3), "mean: [2,3] has no axis -3."],
  [() => max(f32(2, 3), 0.5), "max: [2,3] has no axis 0.5."],
  [() => sum(f32(2, 3), [0, 2]), "sum: [2,3] has no axis 2."],
  [() => min(u32(2, 3), 2), "min: [2,3] has no axis 2."],
  [() => prod(f32(2, 3), -3), "prod: [2,3] has no axis -3."],
  [() => argmax(f32(2, 0), 1), "argmax: [2,0] has nothing to choose from."],
  [() => argmin(f32(2), 1), "argmin: [2] has no axis 1."],
  [() => argmin(f32(2, 3), [0, 1] as never), "argmin: [2,3] has no axis 0,1."],
  [() => logSumExp(f32(2), 1), "logSumExp: [2] has no axis 1."],
  [() => softmax(f32(2), 1), "softmax: [2] has no axis 1."],
  [() => cumsum(f32(2, 3), 2), "cumsum: [2,3] has no axis 2."],
  [() => mean(u32(2, 3), 0), "mean: needs f32 or f16, not u32[2,3]."],
  [() => clamp(i32(2), 0.5), "clamp: 0.5 is no i32."],
  [() => clamp(u32(2), -1, 3), "clamp: -1 is no u32."],
  [() => clamp(i32(2), 0, 2 ** 31), "clamp: 2147483648 is no i32."],
  [() => gather(f32(2, 3), f32(2)), "gather: ids must be u32 or i32, not f32[2]."],
  [() => gather(f32(2, 3), u32(2), 2), "gather: [2,3] has no axis 2."],
  [() => takeAlongAxis(f32(2, 3), u32(3, 3), 1), "takeAlongAxis: ids [3,3] do not fit [2,3] along axis 1."],
  [() => takeAlongAxis(f32(2, 3), u32(2)), "takeAlongAxis: ids [2] do not fit [2,3] along axis -1."],
  [() => scatterAdd(f32(2, 3), u32(4), f32(4, 2)), "scatterAdd: updates [4,2] are not [4,3]."],
  [() => scatterAdd(i32(2), u32(4), u32(4)), "scatterAdd: i32[2] and u32[4] differ in dtype."],
  [() => addAlongAxis(f32(4), u32(4), i32(4)), "addAlongAxis: f32[4] and i32[4] differ in dtype."],
  [() => addAlongAxis(f32(2, 3), u32(2, 4), f32(2, 3)), "addAlongAxis: updates [2,3] are not [2,4]."],
  [() => sumLeading(f32(2, 3), 4), "sumLeading: [2,3] has no rows of 4."],
  [() => normSquared(engine, [f32(2), u32(2)]), "normSquared: needs f32, not u32[2]."],
  [() => parameterGroup([f32(2), u32(2)]), "parameterGroup: needs f32, not u32[2]."],
  [() => new SGD(engine, [], { nesterov: true }), "SGD: Nesterov's needs momentum."],
  [() => reshape(f32(2, 3), [4, 2]), "reshape: [2,3] can't become [4,2]."],
  [() => permute(f32(2, 3), [0]), "permute: [0] does not name the axes of [2,3]."],
  [() => expand(f32(2, 3), [3, 2]), "expand: [2,3] and [3,2] do not broadcast."],
  [() => expand(f32(2, 3), [1, 3]), "expand: [2,3] can't become [1,3]."],
  [() => expand(f32(2, 3), [3]), "expand: [2,3] can't become [3]."],
  [() => repeat(f32(2, 3), 2, 2), "repeat: [2,3] has no axis 2."],
  [() => repeat(f32(2, 3), -1, 0), "repeat: -1 is no number of times."],
  [() => tile(f32(2, 3), [1.5]), "tile: 1.5 is no number of times."],
  [() => slice(f32(3, 2), [null, null, 0]), "slice: [3,2] has no 3 axes."],
  [() => slice(f32(3, 2), [3]), "slice: there is no 3 along axis 0 of [3,2]."],
  [() => slice(f32(3, 2), [null, -3]), "slice: there is no -3 along axis 1 of [3,2]."],
  [() => slice(f32(3, 2), [[0, 1.5]]), "slice: 1.5 is no place along axis 0 of [3,2]."],
  [() => slice(f32(3, 2), [[null, null, 0]]), "slice: a step of 0 along axis 0 of [3,2]."],
  [() => split(f32(3, 2), 2), "split: the extent 3 of [3,2] does not divide into 2."],
  [() => split(f32(3, 2), 0), "split: the extent 3 of [3,2] does not divide into 0."],
  [() => split(f32(3, 2), [1, 2], 1), "split: the extent 2 of [3,2] does not divide into 1,2."],
  [() => split(f32(3, 2), 1, 2), "split: [3,2] has no axis 2."],
  [() => flip(f32(3, 2), [0, 2]), "flip: [3,2] has no axis 2."],
  [() => concat([]), "concat: there are no tensors."],
  [() => concat([f32(3, 2), f32(3, 4)]), "concat: f32[3,2] and f32[3,4] do not fit along axis 0."],
  [() => concat([f32(3, 2), u32(3, 2)]), "concat: f32[3,2] and u32[3,2] do not fit along axis 0."],
  [() => concat([f32(3, 2), f32(3)], 1), "concat: f32[3,2] and f32[3] do not fit along axis 1."],
  [() => concat([f32(3)], 1), "concat: [3] has no axis 1."],
  [() => stack([f32(3), f32(2)]), "stack: f32[3] and f32[2] do not fit."],
  [() => stack([f32(3)], 2), "stack: [3] has no place 2 for an axis."],
  [() => pad(f32(3, 2), [[1, 1]]), "pad: 1 pairs of widths for [3,2]."],
  [() => pad(f32(3), [[1, -1]]), 'pad: [3] can\'t have a border "constant" of -1 along axis 0.'],
  [
    () => pad(f32(3), [[3, 0]], { mode: "reflect" }),
    'pad: [3] can\'t have a border "reflect" of 3 along axis 0.',
  ],
  [() => pad(f32(3), [[0, 4]], { mode: "wrap" }), 'pad: [3] can\'t have a border "wrap" of 4 along axis 0.'],
  [() => pad(f32(0), [[1, 0]], { mode: "edge" }), 'pad: [0] can\'t have a border "edge" of 1 along axis 0.'],
  [() => pad(f32(3), [[1, 0]], { mode: "zero" as PadMode }), 'pad: there is no mode "zero".'],
  [() => pad(f32(3), [[1, 0]], { mode: "toString" as PadMode }), 'pad: there is no mode "toString".'],
  [() => pad(u32(2), [[1, 0]], { value: -1 }), "pad: -1 is no u32."],
  [() => pad(i32(2), [[0, 1]], { value: 0.5 }), "pad: 0.5 is no i32."],
  [() => topk(f32(4), 1), "topk: needs [R, N], not [4]."],
  [() => topk(f32(1, 4), 5), "topk: k must be a whole number from 1 to 4, not 5."],
  [() => topk(f32(1, 4), 0), "topk: k must be a whole number from 1 to 4, not 0."],
  [() => topk(f32(1, 400), 129), "topk: k must be a whole number from 1 to 128, not 129."],
  [
    () => new SGD(engine, [{ values: f32(3), gradient: f32(1), decayEnd: 3 }]),
    "SGD: gradient f32[1] does not fit f32[3].",
  ],
  [
    () =>
      new SGD(
        engine,
        [twice, twice].flatMap((tensor) => parameterGroup([tensor])),
      ),
    "SGD: f32[2] is there twice.",
  ],
  [() => backward(ofIntegers()), "backward: nothing that this tensor depends on requires a gradient."],
  [() => backward(tracked(2)), "backward: f32[2] needs options.grad."],
  [() => backward(tracked(2), { grad: f32(3) }), "backward: gradient f32[3] does not fit f32[2]."],
  [() => backward(tracked(2, 3), { grad: f32(3, 2) }), "backward: gradient f32[3,2] does not fit f32[2,3]."],
];

function tracked(...shape: number[]) {
  const x = f32(...shape);
  x.requiresGrad = true;
  return gelu(x);
}

/** A sum is recorded whatever it is of. */
function ofIntegers() {
  const x = i32(2);
  x.requiresGrad = true;
  return sum(x);
}

for (const [call, message] of calls) {
  test(`${message} (${`${call}`.replace("()=>", "").replace(/\s+/g, " ")})`, () => {
    const { dispatches } = engine.stats();
    engine.scope(() => {
      let thrown: unknown;
      try {
        call();
      } catch (error) {
        thrown = error;
      }
      assert.instance(thrown, TensorError);
      assert.ok((thrown as Error).message.includes(message), `${thrown}`);
    });
    const own = message.startsWith("backward") ? 1 : 0;
    assert.is(engine.stats().dispatches - dispatches, own, "nothing was sent");
  });
}

/** The exported operations that take a list of axes, by their sources. */
const takeAxes = readdirSync(kernelFolder, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .flatMap((file) => [
    ...readFileSync(new URL(file, kernelFolder), "utf8").matchAll(
      /^export (?:function|const) (\w+)\W+[^{;]*\baxes\??: (?:Axes|readonly|number)/gm,
    ),
  ])
  .map(([, name]) => name!)
  .filter((name) => name in kernels);

test("an axis that is given twice is an error that names it, wherever axes are taken", () => {
  for (const name of ["sum", "logSumExp", "flip", "permute"])
    assert.ok(takeAxes.includes(name), `${takeAxes}`);
  const all = new Map(Object.entries(kernels));
  const op = (name: string) => all.get(name) as (x: Tensor, axes: number[]) => unknown;
  for (const name of takeAxes)
    for (const axes of [
      [1, 1],
      [1, -2],
      [0, -2, 1],
    ]) {
      const message = `${name}: axis 1 of [2,3,4] is there twice in [${axes}].`;
      assert.throws(
        () => op(name)(f32(2, 3, 4), axes),
        (error: Error) => error instanceof TensorError && error.message === message,
        message,
      );
    }
});

test("the engine works on", async () => {
  const x = engine.tensor([1, 2], [2]);
  assert.equal([...(await add(x, x).read())], [2, 4]);
});

test("a number in place of a tensor leaves nothing behind, in a scope or not", () => {
  const x = engine.tensor([1, 2], [2]);
  const before = engine.stats().usedBytes;
  add(x, 2).dispose();
  x.requiresGrad = true;
  sub(2, x).dispose();
  assert.is(engine.stats().usedBytes, before);
});

test.after(() => engine.dispose());

test.run();
