// Hyperbolic functions and their inverses, through sums and logarithms that keep the digits near zero.

fn sinhOf(x: vec4f) -> vec4f {
  return 0.5 * (expMinusOne(x) - expMinusOne(-x));
}

fn coshOf(x: vec4f) -> vec4f {
  return 0.5 * (exp(x) + exp(-x));
}

// ln(|x| + sqrt(x² + 1)), with the sign of x; squares of more than 1e9 would be none beside it.
fn arsinh(x: vec4f) -> vec4f {
  let size = bitcast<vec4f>(bitcast<vec4u>(x) & vec4u(0x7fffffffu));
  let square = size * size;
  let near = logOnePlus(size + square / (1.0 + sqrt(1.0 + square)));
  let value = select(near, log(size) + 0.69314718055994531, size > vec4f(1e9));
  return select(value, -value, bitcast<vec4i>(x) < vec4i(0));
}

fn arsinhSlope(x: vec4f) -> vec4f {
  let size = abs(x);
  return select(inverseSqrt(1.0 + x * x), 1.0 / size, size > vec4f(1e9));
}

// ln(x + sqrt(x² - 1))
fn arcosh(x: vec4f) -> vec4f {
  let above = x - 1.0;
  let near = logOnePlus(above + sqrt(above * (above + 2.0)));
  return select(near, log(x) + 0.69314718055994531, x > vec4f(1e9));
}

// Half of ln((1 + x) / (1 - x))
fn artanh(x: vec4f) -> vec4f {
  let size = bitcast<vec4f>(bitcast<vec4u>(x) & vec4u(0x7fffffffu));
  let value = 0.5 * logOnePlus(2.0 * size / (1.0 - size));
  return select(value, -value, bitcast<vec4i>(x) < vec4i(0));
}
