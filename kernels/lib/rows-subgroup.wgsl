// Sums and maxima over the WORKERS invocations of a workgroup, GROUPS subgroups of LANES: within a subgroup at once, and
// from subgroup to subgroup through shared memory. rows-shared.wgsl is the same interface for adapters without subgroups.
// Every invocation must call them, in uniform control flow, and gets the result. `main` sets `lane` to its
// local_invocation_index first. Constants: GROUPS.

const WORKERS = LANES * GROUPS;
var<private> lane: u32;
var<workgroup> groupValues: array<f32, GROUPS>;

// Makes `value` of each subgroup readable in groupValues.
fn publishGroup(value: f32) {
  workgroupBarrier();
  if (lane % LANES == 0u) {
    groupValues[lane / LANES] = value;
  }
  workgroupBarrier();
}

fn laneSum(value: f32) -> f32 {
  var sum = subgroupAdd(value);
  if (GROUPS > 1u) {
    publishGroup(sum);
    sum = 0.0;
    for (var group = 0u; group < GROUPS; group++) {
      sum += groupValues[group];
    }
  }
  return sum;
}

fn laneMax(value: f32) -> f32 {
  var largest = subgroupMax(value);
  if (GROUPS > 1u) {
    publishGroup(largest);
    for (var group = 0u; group < GROUPS; group++) {
      largest = max(largest, groupValues[group]);
    }
  }
  return largest;
}
