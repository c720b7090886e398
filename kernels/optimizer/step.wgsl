// A step of an optimiser over one flat buffer of parameters. The gradient is first multiplied by `gradientFactor()`, which scales
// and clips it; a gradient that is not finite leaves everything as it was, so that the last good parameters survive. Elements
// from `decayEnd` on get no weight decay. Behind it stands the optimiser's `stepped`; MIXED, and `copyOut` for the parameters'
// copy, stand in front. Host side: optimizer.ts. Constants: UNROLLED, PARTIAL.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let scale = gradientFactor();
  if (scale == 0.0) {
    return;
  }
  let block = (wg.y * GRID_X + wg.x) * 256u;
  // Unrolled, a GPU has four loads under way; a processor would have four times the text to compile.
  let rounds = select(min(4u, params.count), 4u, UNROLLED);
  for (var i = 0u; i < rounds; i++) {
    let at = block + i * 64u + id;
    if (at * 4u < params.count) {
      let decay = select(0.0, params.weightDecay, at * 4u < params.decayEnd);
      // What follows the last element is not ours: the buffer may be a part of a larger one.
      var own = vec4<bool>(true);
      if (PARTIAL) {
        own = at * 4u + vec4u(0, 1, 2, 3) < vec4u(params.count);
      }
      let updated = select(parameters[at], stepped(at, gradient[at] * scale, parameters[at], decay), own);
      parameters[at] = updated;
      copyOut(at, updated, own);
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
