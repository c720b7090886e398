// Arithmetic and nothing else: every invocation runs `steps` times 8 rounds over independent chains x = x m + a, few
// enough to stay in registers on a CPU, enough to hide the latency of one. Host side: peak.ts.

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let index = (wg.y * GRID_X + wg.x) * 64u + id;
  let m = vec4f(params.m);
  let a = vec4f(params.a);
  var p = vec4f(0.0, 0.125, 0.25, 0.375) + f32(id) / 64.0;
  var q = p + 0.5;
  var r = p + 1.0;
  var s = p + 1.5;
  for (var step = 0u; step < params.steps; step++) {
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
    p = fma(p, m, a); q = fma(q, m, a); r = fma(r, m, a); s = fma(s, m, a);
  }
  y[index] = (p + q) + (r + s);
}
