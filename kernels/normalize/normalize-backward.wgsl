// The gradient of x / max(|x|, eps) along each row: (dy - u (u . dy)) / |x| with u = x / |x|, or dy / eps where the
// norm is below eps and counts as a constant. One workgroup of WORKERS invocations a row. Host side: normalize.ts.

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let row = wg.y * GRID_X + wg.x;
  if (row >= params.rows) {
    return;
  }
  let base = row * params.length;
  let factor = inverseOf(norms[row]);
  var products = Wide(0.0);
  for (var i = id; i < params.length; i += WORKERS) {
    products += Wide(x[base + i]) * factor * Wide(dy[base + i]);
  }
  let along = select(0.0, laneSum(total(products)), norms[row] > params.eps);
  for (var i = id; i < params.length; i += WORKERS) {
    dx[base + i] = Out((Wide(dy[base + i]) - Wide(x[base + i]) * factor * along) * factor);
  }
}
