// AdamW (Loshchilov and Hutter, arXiv 1711.05101, as in PyTorch) over one flat buffer of parameters. The gradient is
// first multiplied by `gradientFactor()`, which scales and clips it; a gradient that is not finite leaves everything as
// it was, so that the last good parameters survive. Elements from `decayEnd` on get no weight decay. MIXED, and `copyOut`
// for the parameters' copy, stand in front. Host side: adamw.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let scale = gradientFactor();
  if (scale == 0.0) {
    return;
  }
  // 1 - beta1^t and sqrt(1 - beta2^t)
  let correction = corrections();
  let block = (wg.y * GRID_X + wg.x) * 256u;
  for (var i = 0u; i < 4u; i++) {
    let at = block + i * 64u + id;
    if (at * 4u < params.count) {
      let g = gradient[at] * scale;
      let m = mix(g, firstMoment[at], vec4f(params.beta1));
      let v = params.beta2 * secondMoment[at] + (1.0 - params.beta2) * g * g;
      let decay = select(1.0, 1.0 - params.learningRate * params.weightDecay, at * 4u < params.decayEnd);
      let step = m / (sqrt(v) / correction.y + params.epsilon);
      let updated = parameters[at] * decay - params.learningRate / correction.x * step;
      parameters[at] = updated;
      firstMoment[at] = m;
      secondMoment[at] = v;
      copyOut(at, updated);
    }
  }
}

fn gradientFactor() -> f32 {
  if (MIXED) {
    return decision[FACTOR];
  }
  let norm = sqrt(decision[0]) * params.gradientScale;
  if (!isFinite(norm)) {
    return 0.0;
  }
  return params.gradientScale * clipping(norm);
}

fn corrections() -> vec2f {
  if (MIXED) {
    return vec2f(decision[CORRECTION_1], sqrt(decision[CORRECTION_2]));
  }
  return vec2f(params.correction1, params.correction2);
}
