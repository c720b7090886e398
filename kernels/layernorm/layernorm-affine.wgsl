// Adds up the partial sums of layernorm-backward.wgsl: the gradients of gamma and beta. One workgroup of LANES invocations
// an item, first those of gamma, then those of beta. Host side: layernorm.ts.

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let item = wg.y * GRID_X + wg.x;
  if (item >= 2u * params.length) {
    return;
  }
  var sum = Wide(0.0);
  for (var block = id; block < params.blocks; block += LANES) {
    sum += parts[2u * block * params.length + item];
  }
  sum = laneSums(sum);
  if (id == 0u) {
    if (item < params.length) {
      dGamma[item] = Out(sum);
    } else {
      dBeta[item - params.length] = Out(sum);
    }
  }
}
