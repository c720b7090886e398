// Sum of squares of a flat gradient, in two runs: partial sums by PARTS workgroups, each lane with a compensated
// (Kahan) sum, then one workgroup adds the partial sums. The second run is the same kernel over the partial sums with
// SQUARE false and adds to what `y` holds from other buffers.
// Constants: SQUARE, ACCUMULATE.

struct Params {
  count: u32,
  groups: u32,
}

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  var sum = 0.0;
  var lost = 0.0;
  for (var i = wg.x * 64u + id; i < params.count; i += params.groups * 64u) {
    let value = x[i];
    let term = select(value, value * value, SQUARE) - lost;
    let next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  parts[id] = sum;
  workgroupBarrier();
  for (var span = 32u; span > 0u; span /= 2u) {
    if (id < span) {
      parts[id] += parts[id + span];
    }
    workgroupBarrier();
  }
  if (id == 0u) {
    if (ACCUMULATE) {
      y[wg.x] += parts[0];
    } else {
      y[wg.x] = parts[0];
    }
  }
}
