// An op with two variants that tell themselves apart, for tests of the choice between variants: "slow", the rule's,
// writes 1 after long work and "fast" writes 2. No Node here: pages run this file too.
import { defineKernel, type Engine, type Tensor } from "../engine/index.ts";

const stampKernel = defineKernel({
  name: "test-stamp",
  bindings: ["+y: f32"],
  params: { mark: "f32", rounds: "u32" },
  source: `
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  var x = f32(id);
  for (var i = 0u; i < params.rounds; i++) {
    x = fract(x * 1.7 + 0.3);
  }
  y[wg.x * 64u + id] = params.mark + select(0.0, 1.0, x < -1.0);
}`,
});

const kernels = [stampKernel];
const variants = { slow: { mark: 1, rounds: 20000 }, fast: { mark: 2, rounds: 1 } };

/** f32 [4096] of the mark of the variant that ran. `key` names the shape class. */
export function stamp(engine: Engine, key = "stamp"): Tensor {
  const run = (variant: keyof typeof variants) => {
    const y = engine.empty([4096]);
    engine.run(stampKernel, { bind: [y], params: variants[variant], grid: [64, 1, 1] });
    return y;
  };
  return run(engine.choose({ key, kernels, variants: ["slow", "fast"], inputs: [], run }));
}
