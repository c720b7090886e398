// What nan.wgsl says of floats, of integers, all of which are numbers.

const INFINITE = 0xffffffffu;
// Their complements are in the opposite order, and none has no other.
const TURNING = 0xffffffffu;

// Stands for a number that there is not.
fn nan() -> Scalar {
  return Scalar();
}
