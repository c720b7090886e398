// A workgroup that is one subgroup: its lanes are told by their number there, and those that share a row are neighbours.
// lanes-workgroup.wgsl is the same for workgroups of any size, in which no row is shared.

struct Lane {
  @builtin(subgroup_invocation_id) index: u32,
}
