// Numbers that are none. WGSL lets compilers assume that there is no NaN and no infinity, so comparisons such as x != x
// may be folded away: bits can't be. What is computed from a NaN has to be one, or an error would go on as a number.

// Of infinity; NaNs lie above.
const INFINITE = 0x7f800000u;

// The bits that turn the order of numbers round.
const TURNING = 0x80000000u;

fn isNan(value: f32) -> bool {
  return (bitcast<u32>(value) & 0x7fffffffu) > INFINITE;
}

fn areNan(values: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(values) & vec4u(0x7fffffffu)) > vec4u(INFINITE);
}

fn isFinite(value: f32) -> bool {
  return (bitcast<u32>(value) & INFINITE) != INFINITE;
}

// No constant expression, in which WGSL has no NaN.
fn nan() -> f32 {
  var bits = 0x7fc00000u;
  return bitcast<f32>(bits);
}

// clamp() may make a bound of NaN.
fn clampNumber(value: f32, low: f32, high: f32) -> f32 {
  return select(clamp(value, low, high), value, isNan(value));
}
