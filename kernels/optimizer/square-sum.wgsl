// Sum of squares of a flat gradient, in two runs: partial sums by PARTS workgroups, then one workgroup adds the partial
// sums. The second run is the same kernel over the partial sums with SQUARE false and adds to what `y` holds from other
// buffers. A lane adds up BLOCK terms by themselves before they meet the sum of all, which keeps what is small beside it;
// a compensated sum would not, as WGSL lets compilers fold (a + b) - a, and Mesa does.
// Constants: SQUARE, ACCUMULATE.

const BLOCK = 64u;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  var sums = vec4f(0.0);
  var i = wg.x * 64u + id;
  while (i * 4u < params.count) {
    var block = vec4f(0.0);
    for (var term = 0u; term < BLOCK && i * 4u < params.count; term++) {
      // What follows the last element is not ours.
      let inside = vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count);
      let value = select(vec4f(0.0), x[i], inside);
      block += select(value, value * value, SQUARE);
      i += params.groups * 64u;
    }
    sums += block;
  }
  parts[id] = (sums.x + sums.y) + (sums.z + sums.w);
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
