// What the kernels of attention's gradients on matrix units load, as eights.

fn load(which: u32, at: u32) -> vec4u {
  if (which == QUERIES) {
    return q[at];
  }
  if (which == OUTPUTS) {
    return dy[at];
  }
  return kv[at];
}
