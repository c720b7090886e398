// Remainders of numbers, which stand with nan.wgsl; integers.wgsl has those of integers.

// What is left of a / b rounded down: its sign is that of b. Rounding may put the quotient on the other side of a whole number.
fn modulo(a: vec4f, b: vec4f) -> vec4f {
  let rest = a - b * floor(a / b);
  let below = select(rest, rest + b, rest * b < vec4f(0.0));
  let inside = select(below, below - b, abs(below) >= abs(b));
  // By an infinity a is left, or the infinity itself on the other side of zero.
  let sizeB = bitcast<vec4u>(b) & vec4u(0x7fffffffu);
  let sizeA = bitcast<vec4u>(a) & vec4u(0x7fffffffu);
  let opposite = (((bitcast<vec4u>(a) ^ bitcast<vec4u>(b)) >> vec4u(31u)) != vec4u()) & (sizeA != vec4u());
  let whole = select(a, b, opposite);
  return select(inside, whole, (sizeB == vec4u(INFINITE)) & (sizeA != vec4u(INFINITE)) & !areNan(a));
}
