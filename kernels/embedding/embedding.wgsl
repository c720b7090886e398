// y[n] = table[ids[n]], row by row; NaN for ids beyond the table. Host side: embedding.ts.

fn make(index: u32) {
  let row = ids[index / params.length];
  if (row < params.rows) {
    y[index] = table[row * params.length + index % params.length];
  } else {
    y[index] = Out(Wide(nan()));
  }
}
