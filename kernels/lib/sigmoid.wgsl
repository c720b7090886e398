// Sigmoid and tanh, which lose digits or overflow as they stand in WGSL, and the functions that are made of them.

// GELU by tanh, 0.5 x (1 + tanh u), is x sigmoid(2 u).
fn geluTanhArgument(x: vec4f) -> vec4f {
  return 1.5957691216057308 * (x + 0.044715 * x * x * x);
}

fn geluTanhSlope(x: vec4f) -> vec4f {
  let s = sigmoid(geluTanhArgument(x));
  // Beyond |x| of 10 the second term is 0, and must not be 0 times infinity.
  let x2 = min(x * x, vec4f(100.0));
  return s + x * s * (1.0 - s) * 1.5957691216057308 * (1.0 + 0.134145 * x2);
}

fn siluSlope(x: vec4f) -> vec4f {
  let s = sigmoid(x);
  return s + x * s * (1.0 - s);
}

fn geluQuickSlope(x: vec4f) -> vec4f {
  let s = sigmoid(1.702 * x);
  return s + 1.702 * x * s * (1.0 - s);
}

// exp(-|x|) can't overflow.
fn sigmoid(x: vec4f) -> vec4f {
  let e = exp(-abs(x));
  return select(e, vec4f(1.0), x >= vec4f(0.0)) / (1.0 + e);
}

// tanh x = (1 - e) / (1 + e) with e = exp(-2 |x|) loses digits near 0, where its Taylor series is exact enough.
fn accurateTanh(x: vec4f) -> vec4f {
  let e = exp(-2.0 * abs(x));
  let far = sign(x) * (1.0 - e) / (1.0 + e);
  let x2 = x * x;
  let near = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 + x2 * (-17.0 / 315.0 + x2 * (62.0 / 2835.0)))));
  return select(far, near, abs(x) < vec4f(0.25));
}
