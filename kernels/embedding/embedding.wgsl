// y[n] = table[ids[n]], row by row; NaN for ids beyond the table. Host side: embedding.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var step = 0u; step < 256u; step += 64u) {
    let index = first + step;
    if (index >= params.count) {
      return;
    }
    let row = ids[index / params.length];
    if (row < params.rows) {
      y[index] = table[row * params.length + index % params.length];
    } else {
      y[index] = Out(Wide(nan()));
    }
  }
}
