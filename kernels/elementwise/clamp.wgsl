// x = clamp(x, low, high) in place. Elements one by one: x may be a part of a larger buffer whose next elements are
// live, so a vec4 must not reach past the end. Host side: unary.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 1024u + id;
  for (var j = 0u; j < 1024u; j += 64u) {
    let i = first + j;
    if (i >= params.size) {
      return;
    }
    x[i] = Scalar(clamp(f32(x[i]), params.low, params.high));
  }
}
