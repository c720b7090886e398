// What attention's forward kernels load.

fn load(which: u32, at: u32) -> Loaded {
  if (which == QUERIES) {
    return Loaded(q[at]);
  }
  return Loaded(kv[at]);
}
