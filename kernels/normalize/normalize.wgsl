// y = x / max(|x|, eps) along each row, |x| the Euclidean norm. One workgroup of WORKERS invocations a row.
// Host side: normalize.ts.

fn takeRows(row: u32) {
  let base = row * params.length;
  var squares = Wide(0.0);
  for (var i = lane; i < params.length; i += WORKERS) {
    let value = Wide(x[base + i]);
    squares += value * value;
  }
  let norm = sqrt(laneSum(total(squares)));
  if (lane == 0u) {
    norms[row] = norm;
  }
  let factor = inverseOf(norm);
  for (var i = lane; i < params.length; i += WORKERS) {
    y[base + i] = Made(Wide(x[base + i]) * factor);
  }
}
