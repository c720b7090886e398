// GELU and erf. erf is the rational approximation of Eigen and XLA (odd polynomial over even polynomial on [-4, 4], a few
// units in the last place in f32).

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
