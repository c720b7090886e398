// Adds the parts of a product whose sums were split along k (split-K), always in the same order: y[i] = Σ parts[s, i],
// a quad an invocation. Host side: product.ts.

struct Params {
  // Quads of y.
  count: u32,
  splits: u32,
  // Quads between the parts.
  stride: u32,
}

@group(0) @binding(0) var<storage, read> parts: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<Vec>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let i = (wg.y * GRID_X + wg.x) * 64u + id;
  if (i >= params.count) {
    return;
  }
  var sum = parts[i];
  for (var s = 1u; s < params.splits; s++) {
    sum += parts[s * params.stride + i];
  }
  y[i] = Vec(sum);
}
