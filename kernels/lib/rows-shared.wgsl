// Sums and maxima over the WORKERS invocations of a workgroup through shared memory, as trees; rows-subgroup.wgsl is the
// same interface on subgroups. Every invocation must call them, in uniform control flow, and gets the result. `main`
// sets `lane` to its local_invocation_index first. `Laned` is their type. Constants: GROUPS.

const WORKERS = LANES * GROUPS;
var<private> lane: u32;
var<workgroup> laneValues: array<Laned, WORKERS>;

fn laneSum(value: Laned) -> Laned {
  return reduced(value, false);
}

fn laneMax(value: Laned) -> Laned {
  return reduced(value, true);
}

fn reduced(value: Laned, toLargest: bool) -> Laned {
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
