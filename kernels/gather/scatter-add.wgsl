// Adds every entry of x to the row of y that its id names, y[o, ids[j], i] += x[o, j, i], without atomics and with the same
// bits in every run: a workgroup owns a strip of the rows of one residue class of one o and walks over all ids in order. A
// tile of ids is scanned at once, one id a lane; the matches come back as a bit mask (a sum of distinct powers of two, exact in f32), and all
// lanes then add the matching entries. Equal neighbours, such as padding, are summed in a register first. y, f32 or integers, has its numbers
// before. Host side: gather.ts. Constants: SIGNED.

const TILE = min(LANES, 32u);

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let group = wg.y * GRID_X + wg.x;
  if (group >= params.groups) {
    return;
  }
  let strip = group % params.strips;
  let own = group / params.strips % params.classes;
  let o = group / params.strips / params.classes;
  let first = o * params.entries;
  let rows = o * params.rows;
  for (var tile = 0u; tile < params.entries; tile += TILE) {
    var mine = false;
    if (id < TILE && tile + id < params.entries) {
      let row = rowOf(ids[tile + id]);
      mine = row < params.rows && row % params.classes == own;
    }
    var mask = u32(laneSum(select(0.0, f32(1u << (id & 15u)), mine && id < 16u)));
    if (TILE > 16u) {
      mask |= u32(laneSum(select(0.0, f32(1u << (id & 15u)), mine && id >= 16u))) << 16u;
    }
    if (mask != 0u) {
      for (var i = strip * LANES + id; i < params.inner; i += params.strips * LANES) {
        var rest = mask;
        var row = rowOf(ids[tile + countTrailingZeros(rest)]);
        var sum = Wide();
        while (rest != 0u) {
          let entry = tile + countTrailingZeros(rest);
          rest &= rest - 1u;
          if (rowOf(ids[entry]) != row) {
            y[(rows + row) * params.inner + i] += sum;
            row = rowOf(ids[entry]);
            sum = Wide();
          }
          sum += Wide(x[(first + entry) * params.inner + i]);
        }
        y[(rows + row) * params.inner + i] += sum;
      }
    }
  }
}
