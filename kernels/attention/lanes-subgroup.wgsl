// A workgroup that is one subgroup: its lanes are told by their number there, and those that share a row are neighbours.
// lanes-workgroup.wgsl is the same for workgroups of any size, in which no row is shared.

struct Lane {
  @builtin(subgroup_invocation_id) index: u32,
}

// The sum over the SPLIT lanes of a row, 1, 2 or 4, which each of them gets.
fn joined(part: f32) -> f32 {
  var sum = part;
  if (SPLIT > 1u) {
    sum += subgroupShuffleXor(sum, 1u);
  }
  if (SPLIT > 2u) {
    sum += subgroupShuffleXor(sum, 2u);
  }
  return sum;
}
