// y = x, or y + x with ADD, at places that are chosen on both sides through strides. Behind this text stand `offsets`, where an item is in
// x and in y, written by strided.ts. Constants: DIMS, ADD.

fn make(i: u32) {
  let at = offsets(i);
  if (ADD) {
    y[at.y] = Out(Wide(y[at.y]) + Wide(x[at.x]));
  } else {
    y[at.y] = x[at.x];
  }
}
