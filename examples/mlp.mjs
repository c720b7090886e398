// A multilayer perceptron learns exclusive or: `node mlp.mjs`.
import { Engine } from "casement/engine";
import { AdamW, backward, linear, mean, square, sub } from "casement/kernels";

const engine = await Engine.create();
const x = engine.tensor([0, 0, 0, 1, 1, 0, 1, 1], [4, 2]);
const y = engine.tensor([0, 1, 1, 0], [4, 1]);
const parameters = [[16, 2], [16], [1, 16]].map((shape, i) => {
  const values = engine.tensor(
    Float32Array.from({ length: i ? 16 : 32 }, (_, j) => Math.sin(9 * i + j)),
    shape,
  );
  return {
    values: Object.assign(values, { requiresGrad: true, grad: engine.zeros(shape) }),
    gradient: values.grad,
    decayEnd: 0,
  };
});
const [w1, b1, w2] = parameters.map(({ values }) => values);
const optimizer = new AdamW(engine, parameters);
const step = await engine.capture(() => {
  const loss = mean(square(sub(linear(linear(x, w1, { bias: b1, gelu: true }), w2), y)));
  backward(loss);
  optimizer.update();
  for (const { gradient } of parameters) engine.clear(gradient);
  return loss;
});
for (let i = 0; i < 200; i++) {
  optimizer.advance(0.03);
  step.run();
}
console.log(await step.outputs.item());
engine.dispose();
