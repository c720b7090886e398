// Sums and maxima over the WORKERS invocations of a workgroup through shared memory, as trees; rows-subgroup.wgsl is the
// same interface on subgroups. Every invocation must call them, in uniform control flow, and gets the result. `main`
// sets `lane` to its local_invocation_index first. Constants: GROUPS.

const WORKERS = LANES * GROUPS;
var<private> lane: u32;
var<workgroup> laneValues: array<f32, WORKERS>;

fn laneSum(value: f32) -> f32 {
  return reduced(value, false);
}

fn laneMax(value: f32) -> f32 {
  return reduced(value, true);
}

fn reduced(value: f32, toLargest: bool) -> f32 {
  laneValues[lane] = value;
  workgroupBarrier();
  for (var span = WORKERS / 2u; span > 0u; span /= 2u) {
    if (lane < span) {
      let other = laneValues[lane + span];
      laneValues[lane] = select(laneValues[lane] + other, max(laneValues[lane], other), toLargest);
    }
    workgroupBarrier();
  }
  return workgroupUniformLoad(&laneValues[0]);
}
