// y[o, ids[o, j, i], i] += x[o, j, i]: one invocation goes down a column of x, so that no two add to one place, and adds in
// order. y, f32 or integers, has its numbers before. Host side: gather.ts. Constants: SIGNED.

fn make(column: u32) {
  let i = column % params.inner;
  let o = column / params.inner;
  for (var j = 0u; j < params.entries; j++) {
    let at = (o * params.entries + j) * params.inner + i;
    let row = rowOf(ids[at]);
    if (row < params.rows) {
      y[(o * params.rows + row) * params.inner + i] += One(x[at]);
    }
  }
}
