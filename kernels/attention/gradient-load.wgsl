// What the kernels of attention's gradients load.

fn load(which: u32, at: u32) -> vec4f {
  if (which == QUERIES) {
    return vec4f(q[at]);
  }
  if (which == OUTPUTS) {
    return vec4f(dy[at]);
  }
  return vec4f(kv[at]);
}
