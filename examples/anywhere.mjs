// One script for Node, Deno and a page: the direction in which points vary most, by power iteration. `node anywhere.mjs`,
// `deno run --unstable-webgpu --allow-all anywhere.mjs`, or index.html in a browser, which needs no bundler.
import { Engine } from "casement/engine";
import { linear, matmul, mean, normalize, sub } from "casement/kernels";

const engine = await Engine.create();

// 1,000 points around a line through (3, 4), and their covariance, but for a factor.
const points = engine.tensor(
  Array.from({ length: 1000 }, (_, i) => {
    const along = Math.sin(i * 12.9898) * 5;
    const across = Math.sin(i * 78.233) * 0.5;
    return [3 + 0.6 * along - 0.8 * across, 4 + 0.8 * along + 0.6 * across];
  }).flat(),
  [1000, 2],
);
const direction = engine.inference(() => {
  const centred = sub(points, mean(points, 0));
  const covariance = matmul(centred, centred, { transposeA: true });
  let vector = engine.tensor([1, 0], [1, 2]);
  for (let i = 0; i < 30; i++) vector = normalize(linear(vector, covariance));
  return vector;
});

const [x, y] = await direction.read();
const line = `direction ${x.toFixed(2)} ${y.toFixed(2)}`;
if (globalThis.document) document.body.textContent = line;
else console.log(line);
engine.dispose();
