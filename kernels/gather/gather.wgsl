// y[o, j, i] = x[o, ids[j], i], or with ALONG x[o, ids[o, j, i], i]; for ids that x has not NaN, or with ZEROS 0. Host side:
// gather.ts. Constants: ALONG, SIGNED, ZEROS.

fn make(index: u32) {
  let i = index % params.inner;
  let j = index / params.inner % params.entries;
  let o = index / params.inner / params.entries;
  let row = rowOf(ids[select(j, index, ALONG)]);
  if (row < params.rows) {
    y[index] = x[(o * params.rows + row) * params.inner + i];
  } else {
    y[index] = Out(Wide(select(nan(), 0.0, ZEROS)));
  }
}
