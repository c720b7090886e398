// Adds the gradient of every token to its row of the table, without atomics and with the same bits in every run: a
// workgroup owns the rows of one residue class and walks over all tokens in order. A tile of tokens is scanned at
// once, one id a lane; the matches come back as a bit mask (a sum of distinct powers of two, exact in f32), and all
// lanes then add the matching tokens' channels. Equal neighbours, such as padding, are summed in a register first.
// The table starts as zeros. Host side: embedding.ts.

const TILE = min(LANES, 32u);

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  for (var tile = 0u; tile < params.tokens; tile += TILE) {
    var mine = false;
    if (id < TILE && tile + id < params.tokens) {
      let row = ids[tile + id];
      mine = row < params.rows && row % params.classes == wg.x;
    }
    var mask = u32(laneSum(select(0.0, f32(1u << (id & 15u)), mine && id < 16u)));
    if (TILE > 16u) {
      mask |= u32(laneSum(select(0.0, f32(1u << (id & 15u)), mine && id >= 16u))) << 16u;
    }
    if (mask != 0u) {
      for (var i = id; i < params.length; i += LANES) {
        var rest = mask;
        var row = ids[tile + countTrailingZeros(rest)];
        var sum = Wide(0.0);
        while (rest != 0u) {
          let token = tile + countTrailingZeros(rest);
          rest &= rest - 1u;
          if (ids[token] != row) {
            dTable[row * params.length + i] += sum;
            row = ids[token];
            sum = Wide(0.0);
          }
          sum += Wide(dy[token * params.length + i]);
        }
        dTable[row * params.length + i] += sum;
      }
    }
  }
}
