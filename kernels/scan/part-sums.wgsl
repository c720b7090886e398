// The sum of each part of PART entries along the middle of [outer, extent, inner]. Host side: scan.ts. Constants: REVERSE.

fn make(index: u32) {
  var sum = Wide();
  for (var r = partFirst(index); r < partEnd(index); r++) {
    sum += Wide(x[placeOf(index, r)]);
  }
  y[index] = sum;
}
