// AdamW (Loshchilov and Hutter, arXiv 1711.05101, as in PyTorch). Host side: adamw.ts.

fn stepped(at: u32, g: vec4f, old: vec4f, decay: f32) -> vec4f {
  // 1 - beta1^t and sqrt(1 - beta2^t)
  let correction = corrections();
  let m = mix(g, firstMoment[at], vec4f(params.beta1));
  let v = params.beta2 * secondMoment[at] + (1.0 - params.beta2) * g * g;
  firstMoment[at] = m;
  secondMoment[at] = v;
  let step = m / (sqrt(v) / correction.y + params.epsilon);
  return old * (1.0 - params.learningRate * decay) - params.learningRate / correction.x * step;
}

fn corrections() -> vec2f {
  if (MIXED) {
    return vec2f(decision[CORRECTION_1], sqrt(decision[CORRECTION_2]));
  }
  return vec2f(params.correction1, params.correction2);
}
