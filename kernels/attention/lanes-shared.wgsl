// How the lanes of a tile exchange values on adapters without subgroups of a known size: through workgroup memory.
// Every function with a barrier is called in uniform control flow. lanes-subgroup.wgsl describes the functions.

struct Lane {
  @builtin(local_invocation_index) index: u32,
}

// Every lane loads all rows itself: all read one address, which costs less than two barriers for each step.
const STAGED = ROWS;

var<workgroup> tileValues: array<vec4f, ROWS * LANES>;
var<workgroup> rowValues: array<f32, ROWS * LANES>;

fn stagedRow(i: u32, lane: u32) -> u32 {
  return i;
}

fn spreadRow(staged: ptr<function, array<vec4f, STAGED>>, i: u32) -> vec4f {
  return (*staged)[i];
}

fn publish(values: ptr<function, array<vec4f, ROWS>>, lane: u32) {
  workgroupBarrier();
  for (var i = 0u; i < ROWS; i++) {
    tileValues[i * LANES + lane] = (*values)[i];
  }
  workgroupBarrier();
}

fn valueOf(values: ptr<function, array<vec4f, ROWS>>, i: u32, owner: u32) -> vec4f {
  return tileValues[i * LANES + owner];
}

// Each row's values are folded by one lane: a loop of its own for every row in every lane takes compilers minutes.
fn foldRows(values: ptr<function, array<f32, ROWS>>, lane: u32, findMax: bool) {
  workgroupBarrier();
  for (var i = 0u; i < ROWS; i++) {
    rowValues[i * LANES + lane] = (*values)[i];
  }
  workgroupBarrier();
  if (lane < ROWS) {
    let first = lane * LANES;
    var folded = rowValues[first];
    for (var other = first + 1u; other < first + LANES; other++) {
      let value = rowValues[other];
      folded = select(folded + value, max(folded, value), findMax);
    }
    rowValues[first] = folded;
  }
  workgroupBarrier();
  for (var i = 0u; i < ROWS; i++) {
    (*values)[i] = rowValues[i * LANES];
  }
}

fn maxOverLanes(values: ptr<function, array<f32, ROWS>>, lane: u32) {
  foldRows(values, lane, true);
}

fn sumOverLanes(values: ptr<function, array<f32, ROWS>>, lane: u32) {
  foldRows(values, lane, false);
}
