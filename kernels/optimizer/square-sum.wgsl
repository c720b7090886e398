// Sum of squares of a flat gradient, in two runs: partial sums by PARTS workgroups, each lane with a compensated
// (Kahan) sum of vec4s, then one workgroup adds the partial sums. The second run is the same kernel over the partial sums with
// SQUARE false and adds to what `y` holds from other buffers.
// Constants: SQUARE, ACCUMULATE.

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  var sums = vec4f(0.0);
  var lost = vec4f(0.0);
  for (var i = wg.x * 64u + id; i * 4u < params.count; i += params.groups * 64u) {
    // What follows the last element is not ours.
    let inside = vec4u(i * 4u) + vec4u(0u, 1u, 2u, 3u) < vec4u(params.count);
    let value = select(vec4f(0.0), x[i], inside);
    let term = select(value, value * value, SQUARE) - lost;
    let next = sums + term;
    lost = (next - sums) - term;
    sums = next;
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
