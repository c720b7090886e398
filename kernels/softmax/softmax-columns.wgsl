// Softmax or log-softmax down the columns of [outer, extent, inner], in two reads. Host side: softmax.ts. Constants: DOWN, LOG.

fn takeColumn(column: u32, there: bool) {
  let found = topAndSum(column);
  let factor = select(Wide(1.0) / found.sum, log(found.sum), LOG);
  let first = placeOf(column, 0u);
  if (there) {
    for (var r = placeDown; r < params.extent; r += DOWN) {
      let at = first + r * params.inner;
      let below = Wide(x[at]) - found.top;
      if (LOG) {
        y[at] = Out(below - factor);
      } else {
        y[at] = Out(exp(below) * factor);
      }
    }
  }
}
