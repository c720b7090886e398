// The sum over the SPLIT invocations of a row, 1, 2 or 4 neighbours of a subgroup, which each of them gets.
fn joined(part: f32) -> f32 {
  var sum = part;
  if (SPLIT > 1u) {
    sum += subgroupShuffleXor(sum, 1u);
  }
  if (SPLIT > 2u) {
    sum += subgroupShuffleXor(sum, 2u);
  }
  return sum;
}
