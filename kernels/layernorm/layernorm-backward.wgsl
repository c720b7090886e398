// All gradients of layernorm in one pass. With n = (h - mean) / deviation and g = dy gamma along each row,
// dh = (g - mean(g) - n mean(g n)) / deviation, and dropout hands it on to x; gamma's and beta's gradients, the sums of
// dy n and dy over all rows, come as partial sums of a workgroup's BLOCK rows and are added up by layernorm-affine.wgsl.
// A workgroup first finds the means of its rows; then each lane walks down its columns, with the partial sums in
// registers. Without CENTRED no mean was taken off, and mean(g) is 0.
// Behind this text stands `scaleOf`, what gamma has for an item of a row. Host side: layernorm.ts. Constants: GROUPS, BLOCK, DROPOUT, CENTRED.

// Of each row mean(g) and mean(g n); every lane has a copy of its own, which spares a barrier.
var<workgroup> terms: array<vec2f, BLOCK * WORKERS>;

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let block = wg.y * GRID_X + wg.x;
  let first = block * params.blockRows;
  if (first >= params.rows) {
    return;
  }
  let count = min(params.blockRows, params.rows - first);
  let n = f32(params.length * WIDTH);
  for (var r = 0u; r < count; r++) {
    let base = (first + r) * params.length;
    let moment = moments[first + r];
    var sums = Wide(0.0);
    var products = Wide(0.0);
    for (var i = id; i < params.length; i += WORKERS) {
      let g = Wide(dy[base + i]) * scaleOf(first + r, i);
      sums += g;
      products += g * ((Wide(h[base + i]) - moment.x - moment.y) * moment.z);
    }
    let centre = laneSum(total(sums));
    terms[r * WORKERS + id] = vec2f(select(0.0, centre, CENTRED), laneSum(total(products))) / n;
  }
  for (var i = id; i < params.length; i += WORKERS) {
    let factor = scaleOf(first, i);
    var forGamma = Wide(0.0);
    var forBeta = Wide(0.0);
    for (var r = 0u; r < count; r++) {
      let at = (first + r) * params.length + i;
      let moment = moments[first + r];
      let term = terms[r * WORKERS + id];
      let incoming = Wide(dy[at]);
      let normal = (Wide(h[at]) - moment.x - moment.y) * moment.z;
      var gradient = (incoming * factor - term.x - normal * term.y) * moment.z;
      if (params.hasEarlier != 0u) {
        gradient += Wide(earlier[at]);
      }
      dh[at] = Out(gradient);
      if (DROPOUT) {
        dx[at] = Out(gradient * select(Wide(0.0), Wide(params.keptScale), kept(at)));
      }
      forGamma += incoming * normal;
      forBeta += incoming;
    }
    if (params.affine != 0u) {
      parts[2u * block * params.length + i] = forGamma;
      parts[(2u * block + 1u) * params.length + i] = forBeta;
    }
  }
}
