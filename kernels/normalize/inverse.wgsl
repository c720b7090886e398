// What a row is multiplied by, from its norm.

// max() may make eps of NaN.
fn inverseOf(norm: f32) -> f32 {
  return 1.0 / select(max(norm, params.eps), norm, isNan(norm));
}
