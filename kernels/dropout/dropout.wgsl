// y = x / (1 - p) where the random number of the element is at least p, else 0. The numbers come
// from their index alone (engine/base/random.wgsl), so backward makes the same mask anew. Host side: dropout.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var step = 0u; step < 256u; step += 64u) {
    let i = first + step;
    if (i >= params.count) {
      return;
    }
    var numbers = vec4f();
    numbers.x = uniformAt(params.key, params.stream, i * 4u);
    numbers.y = uniformAt(params.key, params.stream, i * 4u + 1u);
    numbers.z = uniformAt(params.key, params.stream, i * 4u + 2u);
    numbers.w = uniformAt(params.key, params.stream, i * 4u + 3u);
    y[i] = Vec(select(vec4f(0.0), vec4f(x[i]) * params.factor, numbers >= vec4f(params.probability)));
  }
}
