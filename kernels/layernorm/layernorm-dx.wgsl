// The gradient of layernorm to its input, with n = (h - mean) / deviation and g = dy gamma, along each row:
// dx = (g - mean(g) - n mean(g n)) / deviation. One workgroup of LANES invocations a row. Host side: layernorm.ts.
// Constants: HAS_RESIDUAL.

struct Params {
  rows: u32,
  // Items (of WIDTH elements) of a row.
  length: u32,
}

@group(0) @binding(0) var<storage, read> x: array<In>;
@group(0) @binding(1) var<storage, read> residual: array<In>;
@group(0) @binding(2) var<storage, read> gamma: array<In>;
@group(0) @binding(3) var<storage, read> moments: array<vec2f>;
@group(0) @binding(4) var<storage, read> dy: array<In>;
@group(0) @binding(5) var<storage, read_write> dx: array<Out>;
@group(1) @binding(0) var<uniform> params: Params;

fn normalAt(at: u32, moment: vec2f) -> Wide {
  var value = Wide(x[at]);
  if (HAS_RESIDUAL) {
    value += Wide(residual[at]);
  }
  return (value - moment.x) * moment.y;
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let row = wg.y * GRID_X + wg.x;
  if (row >= params.rows) {
    return;
  }
  let base = row * params.length;
  let moment = moments[row];
  var sums = Wide(0.0);
  var products = Wide(0.0);
  for (var i = id; i < params.length; i += LANES) {
    let g = Wide(dy[base + i]) * Wide(gamma[i]);
    sums += g;
    products += g * normalAt(base + i, moment);
  }
  let n = f32(params.length * WIDTH);
  let meanG = laneSum(total(sums)) / n;
  let meanProduct = laneSum(total(products)) / n;
  for (var i = id; i < params.length; i += LANES) {
    let g = Wide(dy[base + i]) * Wide(gamma[i]);
    dx[base + i] = Out((g - meanG - normalAt(base + i, moment) * meanProduct) * moment.y);
  }
}
