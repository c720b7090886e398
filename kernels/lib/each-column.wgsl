// The entry of kernels that work on the columns of [outer, extent, inner], an item of the inner extent each: behind it stands
// `takeColumn`, called by each of the DOWN invocations of a column with the column's number, its own among them, and whether the
// column is there; `downSum` and `downMax` go over these. A workgroup has ACROSS columns beside each other. Constants: DOWN.

const ACROSS = 8u;
var<private> placeDown: u32;
var<private> worker: u32;
var<workgroup> downValues: array<Wide, ACROSS * DOWN>;

fn downMax(value: Wide) -> Wide {
  return reducedDown(value, true);
}

fn downSum(value: Wide) -> Wide {
  return reducedDown(value, false);
}

// Every invocation must call it, in uniform control flow.
fn reducedDown(value: Wide, toLargest: bool) -> Wide {
  workgroupBarrier();
  downValues[worker] = value;
  workgroupBarrier();
  for (var span = DOWN / 2u; span > 0u; span /= 2u) {
    if (placeDown < span) {
      let other = downValues[worker + span * ACROSS];
      downValues[worker] = select(downValues[worker] + other, max(downValues[worker], other), toLargest);
    }
    workgroupBarrier();
  }
  return downValues[worker % ACROSS];
}

// Where entry r of a column is.
fn placeOf(column: u32, r: u32) -> u32 {
  let o = column / params.inner;
  return (o * params.extent + r) * params.inner + column - o * params.inner;
}

@compute @workgroup_size(ACROSS * DOWN)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  worker = id;
  placeDown = id / ACROSS;
  let column = (wg.y * GRID_X + wg.x) * ACROSS + id % ACROSS;
  takeColumn(min(column, params.columns - 1u), column < params.columns);
}
