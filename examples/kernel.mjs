// A kernel of one's own with its gradient: snake, y = x + sin²(x) (Ziyin et al., arXiv 2006.08195), whose slope is
// 1 + sin(2x). The engine puts the bindings, `params`, the dtype's alias `Scalar` and GRID_X in front of the WGSL.
import { defineKernel, Engine } from "casement/engine";
import { backward, sum } from "casement/kernels";

const each = (value) => `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.y * GRID_X + wg.x) * 64u + lane;
  if (i < params.size) { ${value} }
}`;
const forward = defineKernel({
  name: "snake",
  source: each("let v = f32(x[i]); y[i] = Scalar(v + sin(v) * sin(v));"),
  bindings: ["x: Scalar", "+y: Scalar"],
  params: { size: "u32" },
});
const gradient = defineKernel({
  name: "snake-gradient",
  source: each("dx[i] = Scalar(f32(dy[i]) * (1.0 + sin(2.0 * f32(x[i]))));"),
  bindings: ["x: Scalar", "dy: Scalar", "+dx: Scalar"],
  params: { size: "u32" },
});

/** snake(x) for f32 or f16 of any shape. */
export function snake(x) {
  const { engine, shape, dtype, size } = x;
  const run = (kernel, ...inputs) => {
    const result = engine.empty(shape, dtype);
    engine.run(kernel, { bind: [...inputs, result], params: { size }, grid: Math.ceil(size / 64), dtype });
    return result;
  };
  return engine.record("snake", run(forward, x), [x], (dy) => [run(gradient, x, dy)]);
}

const engine = await Engine.create();
const values = Array.from({ length: 1000 }, (_, i) => Math.sin(i) * 3);
const x = engine.tensor(values, [10, 100]);
x.requiresGrad = true;
backward(sum(snake(x)));
const [y, slope] = await engine.readAll([snake(x), x.grad]);
const worst = (found, expected) => Math.max(...values.map((v, i) => Math.abs(found[i] - expected(v))));
const errors = [worst(y, (v) => v + Math.sin(v) ** 2), worst(slope, (v) => 1 + Math.sin(2 * v))];
console.log(`largest error ${errors[0].toExponential(1)}, of the gradient ${errors[1].toExponential(1)}`);
engine.dispose();
