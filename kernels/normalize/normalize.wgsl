// y = x / max(|x|, eps) along each row, |x| the Euclidean norm. One workgroup of WORKERS invocations a row.
// Host side: normalize.ts.

fn takeRows(row: u32) {
  let base = row * params.length;
  var squares = Wide(0.0);
  for (var k = 0u; goesOn(k, params.length); k++) {
    let i = lane + k * WORKERS;
    if (HELD > 0u && i >= params.length) {
      continue;
    }
    let value = Wide(x[base + i]);
    if (HELD > 0u) {
      held[k] = value;
    }
    squares += value * value;
  }
  let norm = sqrt(laneSum(total(squares)));
  if (lane == 0u) {
    norms[row] = norm;
  }
  let factor = inverseOf(norm);
  for (var k = 0u; goesOn(k, params.length); k++) {
    let i = lane + k * WORKERS;
    if (HELD == 0u) {
      y[base + i] = Made(Wide(x[base + i]) * factor);
    } else if (i < params.length) {
      y[base + i] = Made(held[k] * factor);
    }
  }
}
