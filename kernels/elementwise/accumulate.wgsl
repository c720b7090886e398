// goal += value in place. The last vec4 is finished element by element: what follows a goal that is a part of a
// larger buffer stays as it is. Host side: accumulate.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var j = 0u; j < 256u; j += 64u) {
    let i = first + j;
    if (i * 4u >= params.size) {
      return;
    }
    let sum = Out(Wide(goal[i]) + Wide(value[i]));
    if (i * 4u + 4u <= params.size) {
      goal[i] = sum;
    } else {
      for (var c = 0u; c < params.size % 4u; c++) {
        goal[i][c] = sum[c];
      }
    }
  }
}
