// Running sums along the middle of [outer, extent, inner], each part of PART entries by one invocation, from the sum of all parts
// before it. Host side: scan.ts. Constants: REVERSE, EXCLUSIVE, HAS_BEFORE.

fn make(index: u32) {
  var sum = Wide();
  if (HAS_BEFORE) {
    sum = before[index];
  }
  for (var r = partFirst(index); r < partEnd(index); r++) {
    let at = placeOf(index, r);
    let next = sum + Wide(x[at]);
    y[at] = Out(select(next, sum, EXCLUSIVE));
    sum = next;
  }
}
