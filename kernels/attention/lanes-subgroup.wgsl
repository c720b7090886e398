// How the lanes of a tile exchange values where a workgroup is one subgroup: by shuffles, without memory or barriers.
// lanes-shared.wgsl offers the same functions without subgroups.

struct Lane {
  @builtin(subgroup_invocation_id) index: u32,
}

// Each lane loads STAGED of a tile's ROWS rows; `stagedRow` says which, `spreadRow` hands row i to all lanes.
const STAGED = (ROWS + LANES - 1u) / LANES;

fn stagedRow(i: u32, lane: u32) -> u32 {
  return min(i * LANES + lane, ROWS - 1u);
}

fn spreadRow(staged: ptr<function, array<vec4f, STAGED>>, i: u32) -> vec4f {
  return subgroupShuffle((*staged)[i / LANES], i % LANES);
}

// Makes a tile of values readable through `valueOf`.
fn publish(values: ptr<function, array<vec4f, ROWS>>, lane: u32) {}

// The published values of row i that lane `owner` holds.
fn valueOf(values: ptr<function, array<vec4f, ROWS>>, i: u32, owner: u32) -> vec4f {
  return subgroupShuffle((*values)[i], owner);
}

// Replaces each row's value by its maximum over the lanes.
fn maxOverLanes(values: ptr<function, array<f32, ROWS>>, lane: u32) {
  for (var i = 0u; i < ROWS; i++) {
    (*values)[i] = subgroupMax((*values)[i]);
  }
}

// Replaces each row's value by its sum over the lanes.
fn sumOverLanes(values: ptr<function, array<f32, ROWS>>, lane: u32) {
  for (var i = 0u; i < ROWS; i++) {
    (*values)[i] = subgroupAdd((*values)[i]);
  }
}
