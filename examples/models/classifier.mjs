// A convolutional network tells what kind of thing an emoji shows, on pictures it has not seen: three blocks of a 3 by 3
// convolution, GroupNorm (Wu and He, arXiv 1803.08494), ReLU and pooling, a mean over what is left, and one linear layer. Three of
// four are right, of five kinds.
// `npm install casement webgpu sharp emoji-datasource emoji-datasource-google emoji-datasource-twitter
// @lobehub/fluent-emoji-3d emojibase-data`, then `node classifier.mjs`.
import { createRequire } from "node:module";
import { openEmoji } from "casement/emoji";
import { Engine, normal } from "casement/engine";
import {
  AdamW,
  argmax,
  backward,
  conv2d,
  groupnorm,
  linear,
  logSoftmax,
  maxPool2d,
  mean,
  neg,
  packBytes,
  parameterGroup,
  pixelsToFloat,
  relu,
  takeAlongAxis,
} from "casement/kernels";

const kinds = ["Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Flags"];
const [side, batch, steps] = [16, 64, 250];
const bytes = 3 * side * side;

// What is to be told, by the emoji's code; skin tones would be the same picture six times.
const emoji = createRequire(import.meta.url)("emoji-datasource/emoji.json");
const plain = (code) => code.toLowerCase().replace(/-fe0f/g, "").replace(/\b0+/g, "");
const kindOf = new Map(emoji.map(({ unified, category }) => [plain(unified), kinds.indexOf(category)]));
const { training, close } = await openEmoji({ size: side });
const known = training.items.map(({ code }, id) => ({ id, code, kind: kindOf.get(code) ?? -1 }));
const all = known.filter(({ kind }) => kind >= 0);
const codes = [...new Set(all.map(({ code }) => code))];
const tested = new Set(codes.filter((_, i) => i % 5 === 0)); // both drawings of each
const [taught, test] = [false, true].map((held) => all.filter(({ code }) => tested.has(code) === held));
const pictures = async (list) => training.pictures.read(list.map(({ id }) => id));
const [seen, unseen] = [await pictures(taught), await pictures(test)];
await close();

const engine = await Engine.create();
let drawn = 0;
const weights = (shape, inputs) => {
  const values = Float32Array.from(
    { length: shape.reduce((a, b) => a * b) },
    () => normal({ key: 1, stream: 0 }, drawn++) * Math.sqrt(2 / inputs),
  );
  return engine.tensor(values, shape);
};
const constant = (n, value) => engine.tensor(new Float32Array(n).fill(value), [n]);
const blocks = [16, 32, 64].map((outputs, i) => {
  const inputs = [3, 16, 32][i];
  return [weights([outputs, inputs, 3, 3], 9 * inputs), constant(outputs, 1), constant(outputs, 0)];
});
const head = [weights([kinds.length, 64], 64), constant(kinds.length, 0)];

/** u32 words of [B, side, side, 3] bytes to logits [B, kinds]. */
function classify(words, count) {
  let x = pixelsToFloat(words, [count, side, side, 3], [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]);
  for (const [weight, gamma, beta] of blocks)
    x = maxPool2d(relu(groupnorm(conv2d(x, weight, { padding: 1 }), 4, gamma, beta)), 2);
  return linear(mean(x, [2, 3]), head[0], { bias: head[1] });
}

const groups = parameterGroup([...blocks.flat(), ...head]);
const optimizer = new AdamW(engine, groups, { weightDecay: 0.05 });
const train = engine.jit(({ words, labels }) => {
  for (const { gradient } of groups) engine.clear(gradient);
  const loss = neg(mean(takeAlongAxis(logSoftmax(classify(words, batch)), labels, 1)));
  backward(loss);
  optimizer.update({ maxNorm: 1 });
  return loss;
});

/** A picture, moved by up to two pixels and half of the time mirrored, into a batch. */
function put(picture, to, random) {
  const [dx, dy, mirrored] = [random(5) - 2, random(5) - 2, random(2)];
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const [v, u] = [y + dy, (mirrored ? side - 1 - x : x) + dx];
      const inside = Math.min(u, v) >= 0 && Math.max(u, v) < side;
      for (let c = 0; c < 3; c++) to[3 * (y * side + x) + c] = inside ? picture[3 * (v * side + u) + c] : 255;
    }
}

let state = 1;
const random = (below) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
};
for (let step = 0; step < steps; step++) {
  const pixels = new Uint8Array(batch * bytes);
  const labels = Array.from({ length: batch }, (_, i) => {
    const n = random(taught.length);
    put(seen.subarray(n * bytes, (n + 1) * bytes), pixels.subarray(i * bytes, (i + 1) * bytes), random);
    return taught[n].kind;
  });
  optimizer.advance(0.01 * Math.min((step + 1) / 10, 1 - step / steps));
  const words = packBytes(pixels);
  const loss = await train({
    words: { values: words, shape: [words.length], dtype: "u32" },
    labels: { values: labels, shape: [batch, 1], dtype: "u32" },
  });
  if (step % 50 === 49) console.log(`step ${step + 1} loss ${(await loss.item()).toFixed(3)}`);
  loss.dispose();
}

const answers = engine.inference(() => {
  const words = packBytes(unseen);
  return argmax(classify(engine.tensor(words, [words.length], "u32"), test.length), 1);
});
const right = [...(await answers.read())].filter((kind, i) => kind === test[i].kind).length;
console.log(`${test.length} pictures, ${((100 * right) / test.length).toFixed(1)} % right`);
engine.dispose();
