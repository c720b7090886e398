// result = f(...) for every element, whatever f is: behind this text stands `valueAt`, written by map.ts around the
// expression of one operation. Four vec4s an invocation. PARTIAL: the result may be a part of a larger tensor, so its
// last vec4 is finished element by element, and what follows stays as it is.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var j = 0u; j < 256u; j += 64u) {
    let i = first + j;
    if (i * 4u >= params.size) {
      return;
    }
    let value = Out(valueAt(i));
    if (!PARTIAL || i * 4u + 4u <= params.size) {
      result[i] = value;
    } else {
      for (var c = 0u; c < params.size % 4u; c++) {
        result[i][c] = value[c];
      }
    }
  }
}

