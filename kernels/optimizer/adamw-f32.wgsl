// AdamW where all is f32: each invocation works the gradient's factor out of the norm, and the host counts the steps.

fn gradientFactor() -> f32 {
  let norm = sqrt(normSquared[0]) * params.gradientScale;
  if (!isFinite(norm)) {
    return 0.0;
  }
  if (params.maxNorm > 0.0) {
    return params.gradientScale * min(1.0, params.maxNorm / (norm + 1.0e-6));
  }
  return params.gradientScale;
}

fn corrections() -> vec2f {
  return vec2f(params.correction1, params.correction2);
}

fn copyOut(at: u32, value: vec4f) {}
