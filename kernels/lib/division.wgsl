// Quotients by numbers that only the host knows, for indices: a product in place of a division, which is some twenty
// instructions on a GPU and one by one for each lane on a CPU (Granlund and Montgomery, "Division by invariant integers
// using multiplication", PLDI 1994). Host side: division.ts.

// The upper half of a product of 64 bits.
fn productAbove(a: u32, b: u32) -> u32 {
  let a0 = a & 0xffffu;
  let a1 = a >> 16u;
  let b0 = b & 0xffffu;
  let b1 = b >> 16u;
  let middle = a1 * b0 + ((a0 * b0) >> 16u);
  return a1 * b1 + (middle >> 16u) + ((a0 * b1 + (middle & 0xffffu)) >> 16u);
}

// Quotient and remainder of n below 2^31.
fn dividedBy(n: u32, divisor: u32, factor: u32, shift: u32) -> vec2u {
  let quotient = productAbove(2u * n, factor) >> shift;
  return vec2u(quotient, n - quotient * divisor);
}
