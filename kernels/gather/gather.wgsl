// y[o, j, i] = x[o, ids[j], i], or with ALONG x[o, ids[o, j, i], i]; for ids that x has not NaN, or with ZEROS 0. Host side:
// gather.ts. Constants: ALONG, SIGNED, ZEROS.

fn make(index: u32) {
  let item = byInner(index);
  let entry = byEntries(item.x);
  let row = rowOf(ids[select(entry.y, index, ALONG)]);
  if (row < params.rows) {
    y[index] = x[(entry.x * params.rows + row) * params.inner + item.y];
  } else {
    y[index] = Out(Wide(select(nan(), 0.0, ZEROS)));
  }
}
