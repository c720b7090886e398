// Gradients of attention without atomics (Dao, "FlashAttention-2", 2023): the probabilities P are computed again from
// the saved log-sum-exp, tile by tile, and dS = P (dP - delta) with dP = dY Vᵀ. One text is two kernels:
//   BY_KEYS false: a tile is 8 queries by 4 LANES keys;  dQ = scale dS K.
//   BY_KEYS true:  a tile is 8 keys by 4 LANES queries;  dK = scale dSᵀ Q, dV = Pᵀ dY, summed in a fixed order over
//                  the batch rows that attend to this row of `kv`.
// Results have the layout of `q` and `kv`, so they go straight into the columns of a fused projection's gradient.
// Host side: attention.ts. Constants: HEAD, BY_KEYS, DROPOUT.

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
  // Scale of the scores times log2(e).
  scale: f32,
  key: u32,
  stream: u32,
  probability: f32,
  keptScale: f32,
  // Flags. They are no constants, because pipelines of this size take long to compile.
  hasMask: u32,
  hasSource: u32,
  // Rows of `kv`.
  kvRows: u32,
  // Scale of the scores.
  gradientScale: f32,
}

@group(0) @binding(0) var<storage, read> q: array<Vec>;
@group(0) @binding(1) var<storage, read> kv: array<Vec>;
@group(0) @binding(2) var<storage, read> dy: array<Vec>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
// For each batch row its row of kv; then, for each row of kv, where its batch rows start in the list that follows.
@group(0) @binding(4) var<storage, read> source: array<u32>;
@group(0) @binding(5) var<storage, read> lse: array<f32>;
@group(0) @binding(6) var<storage, read> delta: array<f32>;
@group(0) @binding(7) var<storage, read_write> gradient: array<Vec>;
@group(1) @binding(0) var<uniform> params: Params;

// Operands: 0 makes the scores (Q and K), 1 makes dP (dY and V).

fn loadRow(which: u32, at: u32) -> vec4f {
  return loadOperand(which, at, BY_KEYS);
}

fn loadColumn(which: u32, at: u32) -> vec4f {
  return loadOperand(which, at, !BY_KEYS);
}

fn loadOperand(which: u32, at: u32, keySide: bool) -> vec4f {
  if (keySide) {
    return vec4f(kv[at]);
  }
  if (which == 0u) {
    return vec4f(q[at]);
  }
  return vec4f(dy[at]);
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, lanes: Lane) {
  let tile = wg.y * GRID_X + wg.x;
  if (tile >= params.allTiles) {
    return;
  }
  let lane = lanes.index;
  let row0 = tile % params.tiles * ROWS;
  let head = tile / params.tiles % params.heads;
  // A row of the tensor that the gradient belongs to: of `q`, or of `kv`.
  let owner = tile / params.tiles / params.heads;
  var turn = 0u;
  var turns = 1u;
  if (params.hasSource != 0u && BY_KEYS) {
    turn = source[params.batch + owner];
    turns = source[params.batch + owner + 1u];
  }

  // dQ or dK, and dV.
  var sums: array<array<vec4f, SLOTS>, ROWS>;
  var valueSums: array<array<vec4f, SLOTS>, ROWS>;
  for (; turn < turns; turn++) {
    var b = owner;
    var kvRow = owner;
    if (params.hasSource != 0u) {
      if (BY_KEYS) {
        b = source[params.batch + params.kvRows + 1u + turn];
      } else {
        kvRow = source[b];
      }
    }
    let group = b * params.heads + head;
    let kvBase = kvRow * params.keys * params.kvStride + head * QUADS;
    let dyStride = params.heads * QUADS;
    let queries = Operand(b * params.queries * params.qStride + head * QUADS, params.qStride, params.queries);
    let dyTokens = Operand(b * params.queries * dyStride + head * QUADS, dyStride, params.queries);
    let keys = Operand(kvBase + params.kOffset, params.kvStride, params.keys);
    let values = Operand(kvBase + params.vOffset, params.kvStride, params.keys);
    let statistics = group * params.queries;
    let columns = select(params.keys, params.queries, BY_KEYS);

    for (var column0 = 0u; column0 < columns; column0 += 4u * LANES) {
      let column = column0 + 4u * lane + vec4u(0u, 1u, 2u, 3u);
      var p: array<vec4f, ROWS>;
      var ds: array<vec4f, ROWS>;
      if (BY_KEYS) {
        p = scores(0u, keys, row0, queries, column0, params.scale, lane);
        ds = scores(1u, values, row0, dyTokens, column0, 1.0, lane);
      } else {
        p = scores(0u, queries, row0, keys, column0, params.scale, lane);
        ds = scores(1u, dyTokens, row0, values, column0, 1.0, lane);
      }
      var columnLse: vec4f;
      var columnDelta: vec4f;
      var columnVisible: vec4<bool>;
      if (BY_KEYS) {
        let at = statistics + min(column, vec4u(params.queries - 1u));
        columnLse = vec4f(lse[at.x], lse[at.y], lse[at.z], lse[at.w]);
        columnDelta = vec4f(delta[at.x], delta[at.y], delta[at.z], delta[at.w]);
        columnVisible = column < vec4u(params.queries);
      } else {
        columnVisible = attended(b, column);
      }
      for (var i = 0u; i < ROWS; i++) {
        let row = row0 + i;
        var rowLse = columnLse;
        var rowDelta = columnDelta;
        var visible = columnVisible;
        if (BY_KEYS) {
          visible &= attended(b, vec4u(row));
        } else {
          let at = statistics + min(row, params.queries - 1u);
          rowLse = vec4f(lse[at]);
          rowDelta = vec4f(delta[at]);
        }
        p[i] = select(vec4f(0.0), exp2(p[i] - rowLse), visible);
        var factor = vec4f(1.0);
        if (DROPOUT) {
          if (BY_KEYS) {
            factor = dropoutFactor((statistics + column) * params.keys + row);
          } else {
            factor = dropoutFactor((statistics + row) * params.keys + column);
          }
        }
        ds[i] = p[i] * (ds[i] * factor - rowDelta);
        p[i] *= factor;
      }
      if (BY_KEYS) {
        addProduct(&sums, &ds, 0u, queries, column0, lane);
        addProduct(&valueSums, &p, 1u, dyTokens, column0, lane);
      } else {
        addProduct(&sums, &ds, 0u, keys, column0, lane);
      }
    }
  }

  let rows = select(params.queries, params.keys, BY_KEYS);
  let stride = select(params.qStride, params.kvStride, BY_KEYS);
  let keyOffset = select(0u, params.kOffset, BY_KEYS);
  for (var i = 0u; i < ROWS; i++) {
    if (row0 + i < rows) {
      let at = (owner * rows + row0 + i) * stride + head * QUADS;
      for (var slot = 0u; slot < SLOTS; slot++) {
        let quad = slot * LANES + lane;
        if (quad < QUADS) {
          gradient[at + keyOffset + quad] = Vec(params.gradientScale * sums[i][slot]);
          if (BY_KEYS) {
            gradient[at + params.vOffset + quad] = Vec(valueSums[i][slot]);
          }
        }
      }
    }
  }
}
