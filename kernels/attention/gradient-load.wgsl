// What the kernels of attention's gradients load.

fn load(which: u32, at: u32) -> Loaded {
  if (which == QUERIES) {
    return Loaded(q[at]);
  }
  if (which == OUTPUTS) {
    return Loaded(dy[at]);
  }
  return Loaded(kv[at]);
}
