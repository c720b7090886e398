// The decision on a step in mixed precision, by one invocation: from the norm of the gradient, which is still multiplied
// by the loss's scale, to the factor that the optimiser multiplies it with (0 where it is not finite), the next scale,
// and AdamW's bias corrections, which advance with updates only. Host side: loss-scale.ts.

@compute @workgroup_size(1)
fn main() {
  let scale = state[SCALE];
  let factor = params.gradientScale / scale;
  let norm = sqrt(normSquared[0]) * factor;
  state[USED] = scale;
  state[NORM] = norm;
  if (!isFinite(norm)) {
    state[FACTOR] = 0.0;
    state[GOOD] = 0.0;
    state[SKIPPED] += 1.0;
    state[SCALE] = scale * params.backoff;
    return;
  }
  state[FACTOR] = factor * clipping(norm);
  // c = 1 - beta^t goes on as c + (1 - beta) (1 - c), which loses no digits while beta^t is close to 1.
  state[CORRECTION_1] = fma(params.rest1, 1.0 - state[CORRECTION_1], state[CORRECTION_1]);
  state[CORRECTION_2] = fma(params.rest2, 1.0 - state[CORRECTION_2], state[CORRECTION_2]);
  state[GOOD] += 1.0;
  if (state[GOOD] >= params.interval) {
    state[GOOD] = 0.0;
    state[SCALE] = min(scale * params.growth, HIGHEST);
  }
}
