// A multilayer perceptron learns exclusive or. `npm install casement webgpu`, then `node mlp.mjs`.
import { EagerEngine } from "casement/engine";
import { accumulateInto, backward, clearGrad, linear, mean, scale, square, sub } from "casement/kernels";

const engine = await EagerEngine.create();
const [x, y] = [engine.tensor([0, 0, 0, 1, 1, 0, 1, 1], [4, 2]), engine.tensor([0, 1, 1, 0], [4, 1])];
const waves = (n, shape) => engine.tensor(Float32Array.from(Array(n).keys(), Math.sin), shape);
const w = [waves(32, [16, 2]), waves(16, [16]), waves(16, [1, 16])];
for (const one of w) one.requiresGrad = true;
function step() {
  clearGrad(w);
  const loss = mean(square(sub(linear(linear(x, w[0], { bias: w[1], gelu: true }), w[2]), y)));
  backward(loss);
  for (const one of w) accumulateInto(one, scale(one.grad, -0.1));
  return loss;
}
for (let i = 1; i < 500; i++) engine.scope(() => void step());
console.log(`loss ${await step().item()}`);
engine.dispose();
