// Where a matrix product puts the sums of the rows of op(a): a tensor of their own, in whole quads.
fn storeSums(at: u32, value: vec4f) {
  rowSums[at / 4u] = vec4<Out>(value);
}
