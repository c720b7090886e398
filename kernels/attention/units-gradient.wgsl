// What the kernels of attention's gradients on matrix units share: where results go, and a power of two by which gradients of scores
// are multiplied before they become f16, which would lose small ones and has no large ones. It follows the largest seen so far; when
// that outgrows f16, what was summed already is scaled down. Sums are divided by it in the end. All of a subgroup have the same.

fn emit(at: u32, quad: vec4f) {
  gradient[at] = Vec(quad);
}

// The scale for weights of which `largest` is the largest, by what it was before.
fn scaleFor(largest: f32, before: f32) -> f32 {
  let exponent = bitcast<u32>(largest) >> 23u;
  // Zeros need none, and infinity and NaN stay what they are.
  if (exponent == 0u || exponent == 255u || (before != 0.0 && largest * before < 16384.0)) {
    return before;
  }
  // The largest comes to about 2^10.
  return bitcast<f32>(min(264u - exponent, 254u) << 23u);
}

fn inverseOf(scale: f32) -> f32 {
  return select(1.0 / scale, 0.0, scale == 0.0);
}
