// The order of numbers, told by bits: WGSL lets compilers take for granted that there is no NaN, and devices take
// denormals for zeros. Stands with nan.wgsl; integers.wgsl has the same for integers.

// Integers that are ordered as the numbers are, both zeros being one.
fn ranks(x: vec4f) -> vec4i {
  let size = bitcast<vec4i>(x) & vec4i(0x7fffffff);
  return select(size, -size, bitcast<vec4i>(x) < vec4i(0));
}

// Neither is NaN.
fn ordered(a: vec4f, b: vec4f) -> vec4<bool> {
  return !(areNan(a) | areNan(b));
}

// The same with -0 below 0, for `lesser` and `greater`.
fn places(x: vec4f) -> vec4i {
  let bits = bitcast<vec4i>(x);
  return select(bits, ~(bits & vec4i(0x7fffffff)), bits < vec4i(0));
}

// NaN where one is.
fn lesser(a: vec4f, b: vec4f) -> vec4f {
  return select(b, a, areNan(a) | (!areNan(b) & (places(a) < places(b))));
}

fn greater(a: vec4f, b: vec4f) -> vec4f {
  return select(b, a, areNan(a) | (!areNan(b) & (places(a) > places(b))));
}

// How much of `lesser(a, b)` is a: all, half where they tie, nothing; all of NaN, as in PyTorch.
fn lesserShare(a: vec4f, b: vec4f) -> vec4f {
  let some = select(vec4f(0.0), vec4f(0.5), ranks(a) == ranks(b));
  return select(some, vec4f(1.0), (ranks(a) < ranks(b)) | !ordered(a, b));
}

fn within(x: vec4f, low: f32, high: f32) -> vec4<bool> {
  return (ranks(x) >= ranks(vec4f(low))) & (ranks(x) <= ranks(vec4f(high)));
}

// From 0 to -infinity.
fn notPositive(x: vec4f) -> vec4<bool> {
  return (ranks(x) <= vec4i(0)) & !areNan(x);
}

// A zero is its own sign, and so is NaN.
fn signOf(x: vec4f) -> vec4f {
  let one = select(vec4f(1.0), vec4f(-1.0), ranks(x) < vec4i(0));
  return select(one, x, (ranks(x) == vec4i(0)) | areNan(x));
}

fn sizeOf(x: vec4f) -> vec4f {
  return bitcast<vec4f>(bitcast<vec4u>(x) & vec4u(0x7fffffffu));
}
