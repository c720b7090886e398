// What all attention kernels share: where the rows of a head lie, which keys a query may see, what is added to scores, and dropout.
// Constants: HEAD, DROPOUT.

// Quads of a head.
const QUADS = HEAD / 4u;
// Below any score. Finite, because WGSL lets compilers assume that there are no infinities.
const LOWEST = -1e30f;

// Operands. Two that pass by together, an even and an odd one, have a place each in workgroup memory.
const KEYS = 0u;
const VALUES = 1u;
const QUERIES = 2u;
const OUTPUTS = 3u;

// One head of a row-major tensor: the index of its first quad, quads from one token to the next, and tokens.
struct Operand {
  base: u32,
  stride: u32,
  count: u32,
}

// A workgroup's number.
fn tileOf(wg: vec3u) -> u32 {
  return wg.y * GRID_X + wg.x;
}

// The row of `kv` that a batch row attends to.
fn kvRowOf(b: u32) -> u32 {
  if (params.hasSource != 0u) {
    return source[b];
  }
  return b;
}

fn queriesOf(b: u32, head: u32) -> Operand {
  return Operand(b * params.queries * params.qStride + head * QUADS, params.qStride, params.queries);
}

// Of the result, or of its gradient.
fn outputsOf(b: u32, head: u32) -> Operand {
  let stride = params.heads * QUADS;
  return Operand(b * params.queries * stride + head * QUADS, stride, params.queries);
}

// Keys or values, by where they start in a token of `kv`.
fn tokensOf(kvRow: u32, head: u32, offset: u32) -> Operand {
  return Operand(kvRow * params.keys * params.kvStride + head * QUADS + offset, params.kvStride, params.keys);
}

fn tokenAt(operand: Operand, token: u32) -> u32 {
  return operand.base + min(token, operand.count - 1u) * operand.stride;
}

// The factor that dropout gives a probability: 0, or 1 / (1 - probability).
fn dropoutFactor(index: u32) -> f32 {
  if (!DROPOUT) {
    return 1.0;
  }
  return select(0.0, params.keptScale, uniformAt(params.key, params.stream, index) >= params.probability);
}

// Kinds of masks: none, whether a batch row attends to a key, and what is added to scores.
const BY_KEY = 1u;
const ADDED = 2u;
const LOG2_E = 1.4426950408889634;
const MINUS_INFINITY = 0xff800000u;

// Whether batch row b attends to a key.
fn attended(b: u32, key: u32) -> bool {
  let inside = key < params.keys;
  if (params.maskKind == BY_KEY) {
    return inside && mask[b * params.keys + min(key, params.keys - 1u)] != 0u;
  }
  return inside;
}

// A score as the softmax takes it, LOWEST where the query may not see the key. The last query sees all keys, the one before all
// but the last. Told by bits, so that NaN stays.
fn masked(score: f32, b: u32, head: u32, query: u32, key: u32, visible: bool) -> f32 {
  if (!visible || (params.causal != 0u && key + params.queries > query + params.keys)) {
    return LOWEST;
  }
  if (params.maskKind != ADDED) {
    return score;
  }
  let row = min(query, params.queries - 1u);
  let bits = mask[b * params.maskBatch + head * params.maskHead + row * params.maskQuery + key];
  return select(score + LOG2_E * bitcast<f32>(bits), LOWEST, bits == MINUS_INFINITY);
}

fn isHidden(score: f32) -> bool {
  return bitcast<u32>(score) == bitcast<u32>(LOWEST);
}

// Keys that some query before `last` may see: no more than there are.
fn keysFor(last: u32) -> u32 {
  let queries = min(last, params.queries);
  if (params.causal == 0u) {
    return params.keys;
  }
  return max(queries + params.keys, params.queries) - params.queries;
}

// The first query that may see keys from `first` on.
fn firstQueryFor(first: u32) -> u32 {
  if (params.causal == 0u) {
    return 0u;
  }
  return max(first + params.queries, params.keys) - params.keys;
}
