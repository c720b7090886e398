// y = x, or y + x with ADD, at places that are chosen on both sides through strides: four elements an invocation, at once where
// they are contiguous on both sides (WIDTH 4). Behind this text stand `offsets` and `fourOffsets`, where elements are in x and
// in y, written by strided.ts. Constants: DIMS, WITHIN, ACROSS, ADD.

fn make(i: u32) {
  let first = 4u * i;
  if (WIDTH == 4u) {
    place(offsets(first) / 4u);
    return;
  }
  let at = fourOffsets(first);
  let left = params.elements - first;
  place(at.p);
  if (left > 1u) {
    place(at.q);
  }
  if (left > 2u) {
    place(at.r);
  }
  if (left > 3u) {
    place(at.s);
  }
}

fn place(at: Offsets) {
  if (ADD) {
    y[at.y] = Out(Wide(y[at.y]) + Wide(x[at.x]));
  } else {
    y[at.y] = x[at.x];
  }
}
