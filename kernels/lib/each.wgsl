// The loop of kernels that make their items one by one: behind it stands `make`, called with every index below
// `params.count`. Four items an invocation; the grid is `blocks` of items.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var step = 0u; step < 256u; step += 64u) {
    if (first + step >= params.count) {
      return;
    }
    make(first + step);
  }
}
