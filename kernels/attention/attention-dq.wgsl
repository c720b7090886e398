// The gradient of attention to Q without atomics (Dao, "FlashAttention-2", 2023): the probabilities P are computed again
// from the saved log-sum-exp, dS = P (dP - delta) with dP = dY Vᵀ and dQ = scale dS K. delta = rowsum(dY * Y), which
// equals the sum over keys of P * dP, is computed first and left to attention-dkv.wgsl. A workgroup has WORKERS * OWN
// queries of one head, and keys pass by. The result has the layout of `q`, so it goes straight into the columns of a
// fused projection's gradient. Host side: attention.ts. Constants: HEAD, WORKERS, OWN, BLOCK, DROPOUT.

const KEYS = 0u;
const VALUES = 1u;
const QUERIES = 2u;
const OUTPUTS = 3u;

fn load(which: u32, at: u32) -> vec4f {
  if (which == QUERIES) {
    return vec4f(q[at]);
  }
  if (which == OUTPUTS) {
    return vec4f(dy[at]);
  }
  return vec4f(kv[at]);
}

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, lanes: Lane) {
  let tile = wg.y * GRID_X + wg.x;
  if (tile >= params.allTiles) {
    return;
  }
  let lane = lanes.index;
  let row0 = tile % params.tiles * WORKERS * OWN + lane;
  let group = tile / params.tiles;
  let head = group % params.heads;
  let b = group / params.heads;
  var kvRow = b;
  if (params.hasSource != 0u) {
    kvRow = source[b];
  }
  let kvBase = kvRow * params.keys * params.kvStride + head * QUADS;
  let yStride = params.heads * QUADS;
  let queries = Operand(b * params.queries * params.qStride + head * QUADS, params.qStride, params.queries);
  let outputs = Operand(b * params.queries * yStride + head * QUADS, yStride, params.queries);
  let keys = Operand(kvBase + params.kOffset, params.kvStride, params.keys);
  let values = Operand(kvBase + params.vOffset, params.kvStride, params.keys);

  var query = Rows();
  var incoming = Rows();
  var sums = Rows();
  var lse = array<f32, OWN>();
  var delta = array<f32, OWN>();
  for (var i = 0u; i < OWN; i++) {
    let row = min(row0 + i * WORKERS, params.queries - 1u);
    query[i] = ownRow(QUERIES, tokenAt(queries, row), params.scale);
    let at = tokenAt(outputs, row);
    incoming[i] = ownRow(OUTPUTS, at, 1.0);
    for (var d = 0u; d < params.quads; d++) {
      delta[i] += dot(quadOf(&incoming, i, d), vec4f(y[at + d]));
    }
    // Not beyond the last row, which another invocation writes.
    if (row0 + i * WORKERS < params.queries) {
      lse[i] = statistics[group * params.queries + row].x;
    }
  }
  for (var key0 = 0u; key0 < params.keys; key0 += BLOCK) {
    stage(KEYS, keys, key0, lane);
    stage(VALUES, values, key0, lane);
    for (var j = 0u; j < min(BLOCK, params.keys - key0); j++) {
      var key = passingRow(KEYS, keys, key0, j, lane);
      var value = passingRow(VALUES, values, key0, j, lane);
      let visible = attended(b, key0 + j);
      for (var i = 0u; i < OWN; i++) {
        let p = select(0.0, exp2(product(&query, i, &key) - lse[i]), visible);
        let at = (group * params.queries + row0 + i * WORKERS) * params.keys + key0 + j;
        let ds = p * (product(&incoming, i, &value) * dropoutFactor(at) - delta[i]);
        addScaled(&sums, i, ds, &key);
      }
    }
  }

  for (var i = 0u; i < OWN; i++) {
    let row = row0 + i * WORKERS;
    if (row < params.queries) {
      let at = tokenAt(queries, row);
      for (var d = 0u; d < params.quads; d++) {
        gradient[at + d] = Vec(params.gradientScale * quadOf(&sums, i, d));
      }
      statistics[group * params.queries + row] = vec2f(lse[i], delta[i]);
    }
  }
}
