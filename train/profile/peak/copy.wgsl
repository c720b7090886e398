// Memory traffic and nothing else: y = x, 16 vec4 an invocation, so that starting one costs little. Host side: peak.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 1024u + id;
  let end = min(first + 1024u, params.quads);
  for (var v = first; v < end; v += 64u) {
    y[v] = x[v];
  }
}
