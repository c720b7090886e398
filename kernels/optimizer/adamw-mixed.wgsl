// AdamW in mixed precision: loss-scale.wgsl has decided on the gradient's factor and counts the updates, and the f16 copy
// that the network computes with is written along with its f32 masters.

struct Params {
  count: u32,
  decayEnd: u32,
  learningRate: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weightDecay: f32,
}

@group(0) @binding(1) var<storage, read> state: array<f32>;
@group(0) @binding(5) var<storage, read_write> copy: array<Vec>;

fn gradientFactor() -> f32 {
  return state[FACTOR];
}

fn corrections() -> vec2f {
  return vec2f(state[CORRECTION_1], sqrt(state[CORRECTION_2]));
}

fn copyOut(at: u32, value: vec4f) {
  copy[at] = Vec(value);
}
