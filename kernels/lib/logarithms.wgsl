// Logarithms of sums with one, and their inverses, which lose digits near zero as they stand in WGSL.

// x (1 + x / 2 (1 + x / 3 ...)) near 0, where exp(x) - 1 loses digits.
fn expMinusOne(x: vec4f) -> vec4f {
  var near = vec4f(1.0);
  for (var n = 9.0; n > 1.0; n -= 1.0) {
    near = 1.0 + x / n * near;
  }
  return select(exp(x) - 1.0, x * near, abs(x) < vec4f(0.5));
}

// ln(1 + x) = 2 artanh s with s = x / (2 + x), by its series where log(1 + x) loses digits.
fn logOnePlus(x: vec4f) -> vec4f {
  let s = x / (2.0 + x);
  let s2 = s * s;
  var near = vec4f(1.0 / 17.0);
  for (var n = 15.0; n > 0.0; n -= 2.0) {
    near = 1.0 / n + s2 * near;
  }
  return select(log(1.0 + x), 2.0 * s * near, abs(x + 0.25) < vec4f(0.75));
}

// ln(1 + e^x); exp(-|x|) can't overflow.
fn softplusOf(x: vec4f) -> vec4f {
  return select(x, vec4f(0.0), notPositive(x)) + logOnePlus(exp(-abs(x)));
}

fn mishSlope(x: vec4f) -> vec4f {
  let t = accurateTanh(softplusOf(x));
  return t + x * sigmoid(x) * (1.0 - t * t);
}
