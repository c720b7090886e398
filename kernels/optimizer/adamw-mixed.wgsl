// AdamW in mixed precision: loss-scale.wgsl has decided on the gradient's factor and counts the updates, and the f16 copy
// that the network computes with is written along with its f32 masters.

fn gradientFactor() -> f32 {
  return state[FACTOR];
}

fn corrections() -> vec2f {
  return vec2f(state[CORRECTION_1], sqrt(state[CORRECTION_2]));
}

fn copyOut(at: u32, value: vec4f) {
  copy[at] = Vec(value);
}
