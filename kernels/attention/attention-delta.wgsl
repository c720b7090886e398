// delta = rowsum(dY * Y) for each query and head, which both backward kernels need (Dao et al., "FlashAttention",
// appendix B: it equals the sum over keys of P * dP). One invocation per (batch row, head, query).
// Constants: HEAD.

struct Params {
  heads: u32,
  queries: u32,
  count: u32,
}

@group(0) @binding(0) var<storage, read> y: array<Vec>;
@group(0) @binding(1) var<storage, read> dy: array<Vec>;
@group(0) @binding(2) var<storage, read_write> delta: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const QUADS = HEAD / 4u;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let index = (wg.y * GRID_X + wg.x) * 64u + id;
  if (index >= params.count) {
    return;
  }
  // The result is laid out [batch, head, query], the operands [batch, query, head, column].
  let query = index % params.queries;
  let group = index / params.queries;
  let head = group % params.heads;
  let at = ((group / params.heads * params.queries + query) * params.heads + head) * QUADS;
  var sum = vec4f(0.0);
  for (var d = 0u; d < QUADS; d++) {
    sum = fma(vec4f(y[at + d]), vec4f(dy[at + d]), sum);
  }
  delta[index] = dot(sum, vec4f(1.0));
}
