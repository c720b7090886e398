// How a row is handed to all lanes where a workgroup is one subgroup: the lanes load a quad or two of it each and
// spread them by shuffles, without memory or barriers. Every lane has its rows whole: SPLIT is 1. pass-shared.wgsl offers the same functions without subgroups.

const STAGED = (QUADS + LANES - 1u) / LANES;

// Makes tokens from `first` on ready for `passingRow`, which is called for each of BLOCK at most.
fn stage(which: u32, operand: Operand, first: u32, lane: u32) {}

// The whole row of token first + j, in every lane.
fn passingRow(which: u32, operand: Operand, first: u32, j: u32, lane: u32) -> Row {
  let at = tokenAt(operand, first + j);
  var staged = array<vec4f, STAGED>();
  for (var i = 0u; i < STAGED; i++) {
    staged[i] = load(which, at + min(i * LANES + lane, QUADS - 1u));
  }
  var row = Row();
  for (var d = 0u; d < PART; d++) {
    row[d] = subgroupShuffle(staged[d / LANES], d % LANES);
  }
  return row;
}
