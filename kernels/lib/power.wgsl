// Powers, and the natural logarithm, by the exponent and the mantissa apart: WGSL's pow() is exp2(y log2(x)), which has no
// negative x and loses a digit for each of the exponent's. What C99 says of zeros, infinities and NaN holds (annex
// F.9.4.4); a denormal x counts as zero.

// n of |x| = m 2^n, m from sqrt(1/2) to sqrt(2).
fn exponents(x: vec4f) -> vec4i {
  return ((bitcast<vec4i>(x) & vec4i(0x7fffffff)) - vec4i(0x3f3504f3)) >> vec4u(23u);
}

// log2 m by its series in s = (m - 1) / (m + 1).
fn mantissaLog(x: vec4f) -> vec4f {
  let m = bitcast<vec4f>((bitcast<vec4i>(x) & vec4i(0x7fffffff)) - (exponents(x) << vec4u(23u)));
  let s = (m - 1.0) / (m + 1.0);
  let s2 = s * s;
  return s * (2.8853900817779268 + s2 * (0.96179669392597560 + s2 * (0.57707801635558536 + s2 * (0.41219858311113240 + s2 * 0.32059889797532520))));
}

fn infinity() -> f32 {
  var bits = INFINITE;
  return bitcast<f32>(bits);
}

// 2^n for n from -126 to 127.
fn powerOfTwo(n: vec4i) -> vec4f {
  return bitcast<vec4f>((n + vec4i(127)) << vec4u(23u));
}

fn isOdd(y: vec4f) -> vec4<bool> {
  return (floor(y) == y) & (floor(0.5 * y) != 0.5 * y);
}

fn power(x: vec4f, y: vec4f) -> vec4f {
  let n = vec4f(exponents(x));
  let part = mantissaLog(x);
  // The exponent's first 12 bits times n are exact.
  let head = bitcast<vec4f>(bitcast<vec4u>(y) & vec4u(0xfffff000u));
  let whole = clamp(head * n, vec4f(-1e6), vec4f(1e6));
  let rest = clamp(y * part + (y - head) * n, vec4f(-1e6), vec4f(1e6));
  let steps = clamp(vec4i(round(whole)) + vec4i(round(rest)), vec4i(-252), vec4i(254));
  let half = steps >> vec4u(1u);
  let fraction = (whole - round(whole)) + (rest - round(rest));
  var result = exp2(fraction) * powerOfTwo(half) * powerOfTwo(steps - half);

  let size = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
  let sizeY = bitcast<vec4u>(y) & vec4u(0x7fffffffu);
  let large = vec4f(infinity());
  let rising = bitcast<vec4i>(y) > vec4i(0);
  let log = y * (n + part);
  result = select(result, select(vec4f(0.0), large, log > vec4f(0.0)), abs(log) > vec4f(200.0));
  // Where y is infinite, or x is zero or infinite.
  let above = size > vec4u(0x3f800000u);
  let endless = select(vec4f(0.0), large, above == rising);
  result = select(result, select(endless, vec4f(1.0), size == vec4u(0x3f800000u)), sizeY == vec4u(INFINITE));
  result = select(result, endless, (size < vec4u(0x00800000u)) | (size == vec4u(INFINITE)));
  let negative = bitcast<vec4i>(x) < vec4i(0);
  let finite = (size >= vec4u(0x00800000u)) & (size < vec4u(INFINITE)) & (sizeY < vec4u(INFINITE));
  result = select(result, -result, negative & isOdd(y));
  result = select(result, vec4f(nan()), (negative & finite & (floor(y) != y)) | areNan(x) | areNan(y));
  return select(result, vec4f(1.0), (sizeY == vec4u(0u)) | (bitcast<vec4u>(x) == vec4u(0x3f800000u)));
}

// By the base: y x^(y - 1), 0 where y is.
fn powerSlope(x: vec4f, y: vec4f) -> vec4f {
  return select(y * power(x, y - 1.0), vec4f(0.0), (bitcast<vec4u>(y) & vec4u(0x7fffffffu)) == vec4u(0u));
}

// By the exponent: x^y ln x, 0 where x is and y is not below 0.
fn powerGrowth(x: vec4f, y: vec4f) -> vec4f {
  let size = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
  let log = 0.69314718055994531 * (vec4f(exponents(x)) + mantissaLog(x));
  let negative = (bitcast<vec4i>(x) < vec4i(0)) & (size != vec4u(0u));
  let growth = select(power(x, y) * log, vec4f(nan()), negative);
  return select(growth, vec4f(0.0), (size == vec4u(0u)) & !(bitcast<vec4u>(y) > vec4u(0x80000000u)));
}
