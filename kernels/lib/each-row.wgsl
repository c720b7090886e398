// The entry of kernels that work on ROWS rows a workgroup, with all its WORKERS invocations: behind it stands `takeRows`,
// called with the first of them. Stands behind `rowLanes`. Constants: ROWS.

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let first = (wg.y * GRID_X + wg.x) * ROWS;
  if (first < params.rows) {
    takeRows(first);
  }
}
