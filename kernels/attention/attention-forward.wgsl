// softmax(scale Q Kᵀ + mask) V with an online softmax, so that the scores never reach memory: Milakov and Gimelshein,
// "Online normalizer calculation for softmax" (2018), and Dao et al., "FlashAttention" (2022). One group of lanes per
// (batch row, head, tile of 8 queries); lanes hold keys in the scores and head columns in the result.
// Host side: attention.ts. Constants: HEAD, DROPOUT.

struct Params {
  batch: u32,
  heads: u32,
  queries: u32,
  keys: u32,
  // Tiles of one head, and of all.
  tiles: u32,
  allTiles: u32,
  // In quads: from one token to the next, and where K and V start in a token of `kv`.
  qStride: u32,
  kvStride: u32,
  kOffset: u32,
  vOffset: u32,
  // Scale of the scores times log2(e), as the softmax is computed with exp2.
  scale: f32,
  key: u32,
  stream: u32,
  probability: f32,
  keptScale: f32,
  // Flags. They are no constants, because pipelines of this size take long to compile.
  hasMask: u32,
  hasSource: u32,
  saveLse: u32,
}

@group(0) @binding(0) var<storage, read> q: array<Vec>;
@group(0) @binding(1) var<storage, read> kv: array<Vec>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> source: array<u32>;
@group(0) @binding(4) var<storage, read_write> lse: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<Vec>;
@group(1) @binding(0) var<uniform> params: Params;

fn loadRow(which: u32, at: u32) -> vec4f {
  return vec4f(q[at]);
}

fn loadColumn(which: u32, at: u32) -> vec4f {
  return vec4f(kv[at]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, lanes: Lane) {
  let tile = wg.y * GRID_X + wg.x;
  if (tile >= params.allTiles) {
    return;
  }
  let lane = lanes.index;
  let row0 = tile % params.tiles * ROWS;
  let group = tile / params.tiles;
  let head = group % params.heads;
  let b = group / params.heads;
  var kvRow = b;
  if (params.hasSource != 0u) {
    kvRow = source[b];
  }
  let kvBase = kvRow * params.keys * params.kvStride + head * QUADS;
  let queries = Operand(b * params.queries * params.qStride + head * QUADS, params.qStride, params.queries);
  let keys = Operand(kvBase + params.kOffset, params.kvStride, params.keys);
  let values = Operand(kvBase + params.vOffset, params.kvStride, params.keys);

  var sums: array<array<vec4f, SLOTS>, ROWS>;
  var top: array<f32, ROWS>;
  // Each lane's part of the softmax's denominator; the lanes' parts are added at the end.
  var total: array<f32, ROWS>;
  for (var i = 0u; i < ROWS; i++) {
    top[i] = LOWEST;
  }
  for (var key0 = 0u; key0 < params.keys; key0 += 4u * LANES) {
    var p = scores(0u, queries, row0, keys, key0, params.scale, lane);
    let key = key0 + 4u * lane + vec4u(0u, 1u, 2u, 3u);
    let visible = attended(b, key);
    var newTop: array<f32, ROWS>;
    for (var i = 0u; i < ROWS; i++) {
      p[i] = select(vec4f(LOWEST), p[i], visible);
      newTop[i] = max(max(max(p[i].x, p[i].y), max(p[i].z, p[i].w)), top[i]);
    }
    maxOverLanes(&newTop, lane);
    for (var i = 0u; i < ROWS; i++) {
      let decay = exp2(top[i] - newTop[i]);
      top[i] = newTop[i];
      p[i] = select(vec4f(0.0), exp2(p[i] - newTop[i]), visible);
      total[i] = total[i] * decay + dot(p[i], vec4f(1.0));
      for (var slot = 0u; slot < SLOTS; slot++) {
        sums[i][slot] *= decay;
      }
      if (DROPOUT) {
        p[i] *= dropoutFactor((group * params.queries + row0 + i) * params.keys + key);
      }
    }
    addProduct(&sums, &p, 1u, values, key0, lane);
  }

  sumOverLanes(&total, lane);
  for (var i = 0u; i < ROWS; i++) {
    if (row0 + i < params.queries) {
      // Where no key is visible the result is zero.
      let inverse = select(0.0, 1.0 / total[i], total[i] > 0.0);
      let at = ((b * params.queries + row0 + i) * params.heads + head) * QUADS;
      for (var slot = 0u; slot < SLOTS; slot++) {
        let quad = slot * LANES + lane;
        if (quad < QUADS) {
          y[at + quad] = Vec(inverse * sums[i][slot]);
        }
      }
      if (params.saveLse != 0u && lane == 0u) {
        // Base 2. Without a visible key it is so high that every probability comes out as zero again.
        lse[group * params.queries + row0 + i] = select(-LOWEST, top[i] + log2(total[i]), total[i] > 0.0);
      }
    }
  }
}
