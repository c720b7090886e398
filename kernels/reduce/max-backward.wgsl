// The gradient of a maximum over the middle of [outer, extent, inner]: all of it to the first element that equals the
// maximum, or to the first NaN where that is the maximum, zero to the rest. One invocation per maximum. Host side: reduce.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let index = (wg.y * GRID_X + wg.x) * 64u + id;
  if (index >= params.outer * params.inner) {
    return;
  }
  let base = index / params.inner * params.extent * params.inner + index % params.inner;
  let largest = f32(y[index]);
  var pending = true;
  for (var r = 0u; r < params.extent; r++) {
    let at = base + r * params.inner;
    let here = pending && (f32(x[at]) == largest || (isNan(f32(x[at])) && isNan(largest)));
    dx[at] = select(Scalar(0.0), dy[index], here);
    pending = pending && !here;
  }
}
