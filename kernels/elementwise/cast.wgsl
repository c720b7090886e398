// y = x in another floating-point type, one vec4 an invocation and step. The last vec4 is finished element by element:
// what follows a y that is a part of a larger buffer stays as it is. Host side: cast.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var step = 0u; step < 256u; step += 64u) {
    let i = first + step;
    if (i * 4u >= params.size) {
      return;
    }
    let value = Out(Wide(x[i]));
    if (i * 4u + 4u <= params.size) {
      y[i] = value;
    } else {
      for (var c = 0u; c < params.size % 4u; c++) {
        y[i][c] = value[c];
      }
    }
  }
}
