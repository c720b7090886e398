// Sums and maxima over the WORKERS invocations of a workgroup, GROUPS subgroups of LANES: within a subgroup at once, and
// from subgroup to subgroup through shared memory. Which invocations make up a subgroup isn't promised, so nothing leans on
// their indices: each leaves a value at its own, and every subgroup gathers them all. rows-shared.wgsl is the same
// interface for adapters without subgroups. Every invocation must call them, in uniform control flow, and gets the result.
// `main` sets `lane` to its local_invocation_index first. `Laned` is their type. Constants: GROUPS.

const WORKERS = LANES * GROUPS;
var<private> lane: u32;
var<workgroup> laneValues: array<Laned, WORKERS>;

// Makes every lane's value readable in laneValues.
fn publish(value: Laned) {
  workgroupBarrier();
  laneValues[lane] = value;
  workgroupBarrier();
}

fn laneSum(value: Laned) -> Laned {
  let sum = subgroupAdd(value);
  if (GROUPS == 1u) {
    return sum;
  }
  // Of each subgroup the first lane's counts.
  let rank = subgroupExclusiveAdd(1u);
  publish(select(Laned(), sum, rank == 0u));
  var part = Laned();
  for (var i = rank; i < WORKERS; i += LANES) {
    part += laneValues[i];
  }
  return subgroupAdd(part);
}

fn laneMax(value: Laned) -> Laned {
  let largest = subgroupMax(value);
  if (GROUPS == 1u) {
    return largest;
  }
  publish(largest);
  var part = largest;
  for (var i = subgroupExclusiveAdd(1u); i < WORKERS; i += LANES) {
    part = max(part, laneValues[i]);
  }
  return subgroupMax(part);
}
