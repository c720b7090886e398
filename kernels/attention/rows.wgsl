// What the attention kernels share. SPLIT invocations own OWN whole rows of one operand and keep them in registers, each its
// share of every row; the rows of the other operand pass by one after the other, each read once and handed to all
// invocations. With SPLIT 1 no score then ever crosses from one to another, and a load is shared by all rows: on llvmpipe a
// load costs as much as seventy multiplications. On a GPU, where an invocation has 255 registers at most, four rows of 64
// would not fit whole. A kernel supplies `load(which, at)`, the quad (vec4) at index `at` of its operand number `which`, and
// `work`, which is called by all invocations for the same head of a batch row (`group`), with the first row of all.

// Quads of an invocation's share of a head: of every SPLIT one, so that neighbours read what lies side by side.
const PART = QUADS / SPLIT;
// Rows from one that an invocation owns to its next.
const STEP = WORKERS / SPLIT;

// What `load` gives.
alias Loaded = vec4f;
alias Row = array<vec4f, PART>;
// The rows that an invocation owns. Functions take them whole with an index: naga, which compiles for Firefox and Deno,
// takes no pointers to elements.
alias Rows = array<Row, OWN>;

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
  let tile = tileOf(wg);
  if (tile < params.allTiles) {
    share = lanes.index % SPLIT;
    work(tile / params.tiles, tile % params.tiles * STEP * OWN, lanes.index);
  }
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
