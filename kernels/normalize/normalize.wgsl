// y = x / max(|x|, eps) along each row, |x| the Euclidean norm. One workgroup of WORKERS invocations a row.
// Host side: normalize.ts.

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let row = wg.y * GRID_X + wg.x;
  if (row >= params.rows) {
    return;
  }
  let base = row * params.length;
  var squares = Wide(0.0);
  for (var i = id; i < params.length; i += WORKERS) {
    let value = Wide(x[base + i]);
    squares += value * value;
  }
  let norm = sqrt(laneSum(total(squares)));
  if (id == 0u) {
    norms[row] = norm;
  }
  let factor = inverseOf(norm);
  for (var i = id; i < params.length; i += WORKERS) {
    y[base + i] = Out(Wide(x[base + i]) * factor);
  }
}
