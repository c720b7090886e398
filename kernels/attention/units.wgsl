// What the attention kernels on matrix units share. A workgroup of four subgroups owns ROWS rows of one operand, each subgroup a row
// of units, whose matrices it keeps; the tokens of two other operands pass by, BLOCK at a time, through workgroup memory (tiles.wgsl),
// the next ones on their way to registers meanwhile. Scores come out of the units through memory as well, since the elements of a
// matrix have no names: SPLIT invocations look at a row of them each, and put what is to be multiplied next, the weights, as f16.
// A kernel supplies `load(which, at)`, the eight f16 at index `at` (in eights) of its operand number `which`, `work` and
// `emit(at, quad)`. What goes by the number of units is written by units.ts. Constants: HEAD, BLOCK, DROPOUT, SETS, and see tiles.wgsl.

const THREADS = 4u * LANES;
const ROWS = 4u * MATRIX_M;
// Eights of a token, and its elements in memory.
const PARTS = HEAD / 8u;
const LINE = HEAD + 8u;
// Where the second of two tiles that pass by begins.
const SECOND = BLOCK * LINE;
// Of one subgroup: its weights, and its scores.
const WEIGHT_LINE = BLOCK + 8u;
const WEIGHT_SET = MATRIX_M * WEIGHT_LINE;
const SCORE_LINE = BLOCK + 4u;
const SCORE_SET = MATRIX_M * SCORE_LINE;
// Invocations of a row, and pairs of scores that each looks at.
const SPLIT = LANES / MATRIX_M;
const PAIRS = BLOCK / SPLIT / 2u;
// Eights of two tiles that an invocation brings.
const TURNS = (2u * BLOCK * PARTS + THREADS - 1u) / THREADS;

// What `load` gives.
alias Loaded = vec4u;
alias Own = array<Left, HEAD / MATRIX_K>;
alias Scores = array<Result, BLOCK / MATRIX_N>;
alias Outs = array<Result, HEAD / MATRIX_N>;
alias Eights = array<Loaded, TURNS>;

var<workgroup> scores: array<f32, 4u * SETS * SCORE_SET>;
// Pairs of f16.
var<workgroup> weightWords: array<u32, 2u * SETS * WEIGHT_SET>;

struct Me {
  id: u32,
  // Of the subgroup: its first row of the workgroup's, its scores, and its weights.
  first: u32,
  scores: u32,
  weights: u32,
  // The row in it that this invocation looks at, and its part of that.
  row: u32,
  part: u32,
}

var<private> me: Me;

@compute @workgroup_size(THREADS) @diagnostic(off, chromium.subgroup_matrix_uniformity)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32,
  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
  me = Me(
    id,
    subgroup * MATRIX_M,
    subgroup * SETS * SCORE_SET,
    subgroup * SETS * WEIGHT_SET,
    lane / SPLIT,
    lane % SPLIT,
  );
  let tile = tileOf(wg);
  if (tile < params.allTiles) {
    work(tile / params.tiles, tile % params.tiles * ROWS);
  }
}

// PAIRS, which a processor's driver must not know: it would unroll the loop, and compiles that for long.
fn pairs() -> u32 {
  return select(params.quads, PAIRS, LANES > 8u);
}

// The first of pair c's two tokens of a block. Rows whose scores lie in the same banks begin at different pairs.
fn tokenOf(c: u32) -> u32 {
  let turn = select((me.row / 8u * SPLIT + me.part) & 3u, 0u, PAIRS % 4u != 0u);
  return 2u * (me.part * PAIRS + (c ^ turn));
}

fn scoreAt(which: u32, token: u32) -> vec2f {
  let at = me.scores + which * SCORE_SET + me.row * SCORE_LINE + token;
  return vec2f(scores[at], scores[at + 1u]);
}

fn putWeights(which: u32, token: u32, both: vec2f) {
  weightWords[(me.weights + which * WEIGHT_SET + me.row * WEIGHT_LINE + token) / 2u] = pair(both);
}

// Brings the workgroup's own rows of an operand, to be loaded by `ownOf`.
fn bring(which: u32, operand: Operand, first: u32) {
  workgroupBarrier();
  for (var i = me.id; i < ROWS * PARTS; i += THREADS) {
    let line = lineOf(i, PARTS);
    let part = partOf(i, PARTS);
    put(line * LINE + part * 8u, load(which, tokenAt(operand, first + line) / 2u + part));
  }
  workgroupBarrier();
}

// Brings tokens from `first` on of two operands, beginning with number `which`; `keep` puts them into memory.
fn fetch(which: u32, one: Operand, other: Operand, first: u32, next: ptr<function, Eights>) {
  for (var t = 0u; t < TURNS; t++) {
    let i = min(t * THREADS + me.id, 2u * BLOCK * PARTS - 1u);
    let token = first + lineOf(i, PARTS) % BLOCK;
    if (i < BLOCK * PARTS) {
      (*next)[t] = load(which, tokenAt(one, token) / 2u + partOf(i, PARTS));
    } else {
      (*next)[t] = load(which + 1u, tokenAt(other, token) / 2u + partOf(i, PARTS));
    }
  }
}

fn keep(next: ptr<function, Eights>) {
  workgroupBarrier();
  for (var t = 0u; t < TURNS; t++) {
    let i = t * THREADS + me.id;
    if (i < 2u * BLOCK * PARTS) {
      put(lineOf(i, PARTS) * LINE + partOf(i, PARTS) * 8u, (*next)[t]);
    }
  }
  workgroupBarrier();
}

// Stores so many columns of a row's results, which lie in the first set of scores.
fn emitRow(at: u32, columns: u32, factor: f32, there: bool) {
  if (there) {
    for (var column = 4u * me.part; column < columns; column += 4u * SPLIT) {
      let place = me.scores + me.row * SCORE_LINE + column;
      emit(
        at + column / 4u,
        factor * vec4f(scores[place], scores[place + 1u], scores[place + 2u], scores[place + 3u]),
      );
    }
  }
}

// The largest over the invocations of a row, which each of them gets. All of a subgroup call it, though by a way that compilers can't
// tell from one that only some take.
@diagnostic(off, subgroup_uniformity)
fn joinedLargest(part: f32) -> f32 {
  var largest = part;
  if (SPLIT > 1u) {
    largest = max(largest, subgroupShuffleXor(largest, 1u));
  }
  if (SPLIT > 2u) {
    largest = max(largest, subgroupShuffleXor(largest, 2u));
  }
  return largest;
}
