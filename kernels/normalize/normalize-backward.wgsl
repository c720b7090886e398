// The gradient of x / max(|x|, eps) along each row: (dy - u (u . dy)) / |x| with u = x / |x|, or dy / eps where the
// norm is below eps and counts as a constant. One workgroup of WORKERS invocations a row. Host side: normalize.ts.

fn takeRows(row: u32) {
  let base = row * params.length;
  let factor = inverseOf(norms[row]);
  var products = Wide(0.0);
  for (var i = lane; i < params.length; i += WORKERS) {
    products += Wide(x[base + i]) * factor * Wide(dy[base + i]);
  }
  let along = select(0.0, laneSum(total(products)), norms[row] > params.eps);
  for (var i = lane; i < params.length; i += WORKERS) {
    dx[base + i] = Out((Wide(dy[base + i]) - Wide(x[base + i]) * factor * along) * factor);
  }
}
