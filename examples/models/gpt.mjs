// A small GPT (Radford et al., 2018, as GPT-2 has its blocks) learns how people ask for changes of an emoji, character by
// character, then writes such phrases: token by token with the keys and values of those before it kept, and once more
// without, which comes to the same. `npm install casement webgpu sharp emoji-datasource emoji-datasource-google
// emoji-datasource-twitter @lobehub/fluent-emoji-3d emojibase-data`, then `node gpt.mjs`.
import { openEmoji } from "casement/emoji";
import { Engine, normal } from "casement/engine";
import {
  AdamW,
  add,
  addPositions,
  backward,
  crossAttention,
  embedding,
  equal,
  feedForward,
  gather,
  layernorm,
  lessEqual,
  linear,
  logSoftmax,
  mean,
  neg,
  parameterGroup,
  reshape,
  selfAttention,
  split,
  takeAlongAxis,
  where,
} from "casement/kernels";

const [width, heads, depth, length, batch, steps] = [64, 4, 2, 48, 32, 200];

const { training, close } = await openEmoji({ size: 32 });
const phrases = training.texts();
await close();
const letters = ["\n", ...new Set(phrases.join(""))]; // the first begins and ends a phrase

const engine = await Engine.create();
let drawn = 0;
const weights = (...shape) => {
  const spread = shape.length > 1 ? 0.5 / Math.sqrt(shape[1]) : 0;
  const value = () => spread * normal({ key: 2, stream: 0 }, drawn++);
  return engine.tensor(Array.from({ length: shape.reduce((a, b) => a * b) }, value), shape);
};
const norm = () => ({ gamma: engine.tensor(new Float32Array(width).fill(1), [width]), beta: weights(width) });
const layer = (outputs, inputs) => ({ weight: weights(outputs, inputs), bias: weights(outputs) });
const model = {
  tokens: weights(letters.length, width),
  positions: weights(length, width),
  blocks: Array.from({ length: depth }, () => ({
    ...{ before: norm(), qkv: layer(3 * width, width), out: layer(width, width) },
    ...{ between: norm(), first: layer(4 * width, width), second: layer(width, 4 * width) },
  })),
  last: norm(),
};
const leaves = (tree) => (tree.shape ? [tree] : Object.values(tree).flatMap(leaves));

/** Logits [B, T, letters] of what comes after each of `x` [B, T, width]; `attend` is told projections and the block's number. */
function predict(x, attend) {
  const normed = (x, { gamma, beta }) => layernorm(x, gamma, beta);
  model.blocks.forEach(({ before, qkv, out, between, first, second }, i) => {
    const projected = linear(normed(x, before), qkv.weight, { bias: qkv.bias });
    x = linear(attend(projected, i), out.weight, { bias: out.bias, residual: x });
    x = feedForward(normed(x, between), first, second, { residual: x });
  });
  return linear(normed(x, model.last), model.tokens);
}
const causal = (projected) => selfAttention(projected, { heads, causal: true });
const whole = (ids) => predict(addPositions(embedding(model.tokens, ids), model.positions), causal);

const groups = parameterGroup(leaves(model));
const optimizer = new AdamW(engine, groups, { weightDecay: 0.01 });
const train = engine.jit(({ ids, next }) => {
  for (const { gradient } of groups) engine.clear(gradient);
  const loss = neg(mean(takeAlongAxis(logSoftmax(whole(ids)), next, 2)));
  backward(loss);
  optimizer.update({ maxNorm: 1 });
  return loss;
});

const integers = (values, ...shape) => ({ values, shape, dtype: "u32" });
let state = 1;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
/** A phrase, and what fills the rest up: other phrases. */
function text() {
  let text = "\n";
  while (text.length <= length) text += `${phrases[random(phrases.length)]}\n`;
  return [...text].map((letter) => letters.indexOf(letter));
}
for (let step = 0; step < steps; step++) {
  const drawn = Array.from({ length: batch }, text);
  optimizer.advance(0.008 * Math.min((step + 1) / 20, 1.02 - step / steps));
  const part = (from) => drawn.flatMap((ids) => ids.slice(from, from + length));
  const loss = await train({
    ids: integers(part(0), batch, length),
    next: integers(part(1), batch, length, 1),
  });
  if (step % 50 === 49) console.log(`step ${step + 1} loss ${(await loss.item()).toFixed(3)}`);
  loss.dispose();
}

// Keys and values of all places, in every block; places that are still to come are hidden.
const caches = model.blocks.map(() => engine.zeros([1, length, 2 * width]));
const places = engine.tensor([...Array(length).keys()], [1, length], "u32");
const one = engine.jit(({ id, place }) => {
  const x = add(embedding(model.tokens, id), gather(model.positions, reshape(place, [1, 1])));
  return predict(x, (projected, i) => {
    const [q, kv] = split(projected, [width, 2 * width], 2);
    engine.copy(where(reshape(equal(places, place), [1, length, 1]), kv, caches[i]), caches[i]);
    return crossAttention(q, caches[i], { heads, mask: lessEqual(places, place) });
  });
});
const cached = (ids) => one({ id: integers(ids.slice(-1), 1, 1), place: integers([ids.length - 1], 1) });
/** The same from the beginning: what comes after changes nothing. */
const again = engine.jit(({ ids, last }) => gather(whole(ids), last, 1));
const uncached = (ids) =>
  again({
    ids: integers([...ids, ...Array(length - ids.length).fill(0)], 1, length),
    last: integers([ids.length - 1], 1),
  });

/** A phrase that begins so, each letter the likeliest, and all logits on the way. */
async function write(start, logitsOf) {
  const [ids, all] = [[0], []];
  const given = [...start].map((letter) => letters.indexOf(letter));
  for (let phrase = ""; ; phrase += letters[ids.at(-1)]) {
    const logits = await logitsOf(ids);
    const values = await logits.read();
    logits.dispose();
    all.push(...values);
    ids.push(given[ids.length - 1] ?? values.indexOf(Math.max(...values)));
    if (ids.at(-1) === 0 || ids.length > length) return { phrase, all };
  }
}
let off = 0;
for (const start of ["make", "turn", "same", "a "]) {
  const [kept, anew] = [await write(start, cached), await write(start, uncached)];
  off = kept.all.reduce((most, value, i) => Math.max(most, Math.abs(value - anew.all[i])), off);
  const same = kept.phrase === anew.phrase ? "the same" : `not "${anew.phrase}"`;
  console.log(`${same}: ${kept.phrase}`);
}
console.log(`logits differ by ${off.toExponential(1)} at most`);
engine.dispose();
