// Partial gradients of layernorm to gamma, sum(dy n), and beta, sum(dy), over a block of rows: one invocation an item
// of the row, neighbours read neighbouring addresses; sumLeading adds the blocks up. Host side: layernorm.ts.
// Constants: HAS_RESIDUAL.

struct Params {
  rows: u32,
  // Items (of WIDTH elements) of a row.
  length: u32,
  rowsPerBlock: u32,
  blocks: u32,
}

@group(0) @binding(0) var<storage, read> x: array<In>;
@group(0) @binding(1) var<storage, read> residual: array<In>;
@group(0) @binding(2) var<storage, read> moments: array<vec2f>;
@group(0) @binding(3) var<storage, read> dy: array<In>;
@group(0) @binding(4) var<storage, read_write> dGamma: array<Wide>;
@group(0) @binding(5) var<storage, read_write> dBeta: array<Wide>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let index = (wg.y * GRID_X + wg.x) * 32u + id;
  if (index >= params.blocks * params.length) {
    return;
  }
  let first = index / params.length * params.rowsPerBlock;
  let end = min(first + params.rowsPerBlock, params.rows);
  var forGamma = Wide(0.0);
  var forBeta = Wide(0.0);
  for (var row = first; row < end; row++) {
    let at = row * params.length + index % params.length;
    var value = Wide(x[at]);
    if (HAS_RESIDUAL) {
      value += Wide(residual[at]);
    }
    let moment = moments[row];
    let incoming = Wide(dy[at]);
    forGamma += incoming * (value - moment.x) * moment.y;
    forBeta += incoming;
  }
  dGamma[index] = forGamma;
  dBeta[index] = forBeta;
}
