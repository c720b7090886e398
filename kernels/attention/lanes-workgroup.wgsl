// Invocations by their number in the workgroup, each with whole rows; lanes-subgroup.wgsl describes what is here.

struct Lane {
  @builtin(local_invocation_index) index: u32,
}

fn joined(part: f32) -> f32 {
  return part;
}
