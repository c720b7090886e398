// Sums and maxima over the LANES invocations of a workgroup, which are one subgroup here; rows-shared.wgsl is the same
// interface for adapters without subgroups. Every invocation must call them, and gets the result. `main` sets `lane` to
// its local_invocation_index first.

var<private> lane: u32;

fn laneSum(value: f32) -> f32 {
  return subgroupAdd(value);
}

fn laneMax(value: f32) -> f32 {
  return subgroupMax(value);
}
