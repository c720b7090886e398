// Functions that WGSL lacks, or that lose digits as they stand there. erf is the rational approximation of Eigen and XLA
// (odd polynomial over even polynomial on [-4, 4], a few units in the last place in f32).

fn erf(value: vec4f) -> vec4f {
  let x = clamp(value, vec4f(-4.0), vec4f(4.0));
  let x2 = x * x;
  var p = vec4f(-2.72614225801306e-10);
  p = fma(p, x2, vec4f(2.77068142495902e-08));
  p = fma(p, x2, vec4f(-2.10102402082508e-06));
  p = fma(p, x2, vec4f(-5.69250639462346e-05));
  p = fma(p, x2, vec4f(-7.34990630326855e-04));
  p = fma(p, x2, vec4f(-2.95459980854025e-03));
  p = fma(p, x2, vec4f(-1.60960333262415e-02));
  var q = vec4f(-1.45660718464996e-05);
  q = fma(q, x2, vec4f(-2.13374055278905e-04));
  q = fma(q, x2, vec4f(-1.68282697438203e-03));
  q = fma(q, x2, vec4f(-7.37332916720468e-03));
  q = fma(q, x2, vec4f(-1.42647390514189e-02));
  return x * p / q;
}

fn gelu(x: vec4f) -> vec4f {
  return 0.5 * x * (1.0 + erf(x * 0.70710678118654752));
}

// d gelu / dx = Phi(x) + x phi(x)
fn geluSlope(x: vec4f) -> vec4f {
  let density = 0.39894228040143268 * exp(-0.5 * x * x);
  return 0.5 * (1.0 + erf(x * 0.70710678118654752)) + x * density;
}

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
