// What the attention kernels share. SPLIT invocations own OWN whole rows of one operand and keep them in registers, each its
// share of every row; the rows of the other operand pass by one after the other, each read once and handed to all
// invocations. With SPLIT 1 no score then ever crosses from one to another, and a load is shared by all rows: on llvmpipe a
// load costs as much as seventy multiplications. On a GPU, where an invocation has 255 registers at most, four rows of 64
// would not fit whole. A kernel supplies `load(which, at)`, the quad (vec4) at index `at` of its operand number `which`, and
// `work`, which is called by all invocations for the same head of a batch row (`group`), with the first row of all.

// Operands. Two that pass by together, an even and an odd one, have a place each in workgroup memory.
const KEYS = 0u;
const VALUES = 1u;
const QUERIES = 2u;
const OUTPUTS = 3u;

// Quads of a head, and those of an invocation: of every SPLIT one, so that neighbours read what lies side by side.
const QUADS = HEAD / 4u;
const PART = QUADS / SPLIT;
// Rows from one that an invocation owns to its next.
const STEP = WORKERS / SPLIT;
// Below any score. Finite, because WGSL lets compilers assume that there are no infinities.
const LOWEST = -1e30f;

alias Row = array<vec4f, PART>;
// The rows that an invocation owns. Functions take them whole with an index: naga, which compiles for Firefox and Deno,
// takes no pointers to elements.
alias Rows = array<Row, OWN>;

// One head of a row-major tensor: the index of its first quad, quads from one token to the next, and tokens.
struct Operand {
  base: u32,
  stride: u32,
  count: u32,
}

// Which of the SPLIT invocations of a row this is.
var<private> share: u32;

// Where quad d of this invocation's share is in a row.
fn quadAt(d: u32) -> u32 {
  if (SPLIT == 1u) {
    return d;
  }
  return d * SPLIT + share;
}

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, lanes: Lane) {
  let tile = wg.y * GRID_X + wg.x;
  if (tile < params.allTiles) {
    share = lanes.index % SPLIT;
    work(tile / params.tiles, tile % params.tiles * STEP * OWN, lanes.index);
  }
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

// factor * a lane's own row, or its share. One load in a loop whose bound is a parameter, and PART selections in its body: as
// many loads in a row are what software drivers compile slowest.
fn ownRow(which: u32, at: u32, factor: f32) -> Row {
  var row = Row();
  for (var d = 0u; d < params.quads; d++) {
    let value = factor * load(which, at + quadAt(d));
    for (var e = 0u; e < PART; e++) {
      row[e] = select(row[e], value, d == e);
    }
  }
  return row;
}

fn quadOf(rows: ptr<function, Rows>, i: u32, d: u32) -> vec4f {
  var value = (*rows)[i][0];
  for (var e = 1u; e < PART; e++) {
    value = select(value, (*rows)[i][e], d == e);
  }
  return value;
}

// Called in uniform control flow, as `joined` is.
fn product(rows: ptr<function, Rows>, i: u32, row: ptr<function, Row>) -> f32 {
  var sum = vec4f(0.0);
  for (var d = 0u; d < PART; d++) {
    sum = fma((*rows)[i][d], (*row)[d], sum);
  }
  return joined(dot(sum, vec4f(1.0)));
}

fn addScaled(sums: ptr<function, Rows>, i: u32, factor: f32, row: ptr<function, Row>) {
  for (var d = 0u; d < PART; d++) {
    (*sums)[i][d] = fma(vec4f(factor), (*row)[d], (*sums)[i][d]);
  }
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
