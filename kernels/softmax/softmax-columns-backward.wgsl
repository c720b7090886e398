// Gradients of softmax-columns.wgsl from the saved result s, as in softmax-backward.wgsl. Host side: softmax.ts. Constants: DOWN, LOG.

fn takeColumn(column: u32, there: bool) {
  let first = placeOf(column, 0u);
  var sum = Wide(0.0);
  for (var r = placeDown; r < params.extent; r += DOWN) {
    let at = first + r * params.inner;
    sum += Wide(dy[at]) * select(Wide(s[at]), Wide(1.0), LOG);
  }
  let total = downSum(sum);
  if (there) {
    for (var r = placeDown; r < params.extent; r += DOWN) {
      let at = first + r * params.inner;
      if (LOG) {
        y[at] = Out(Wide(dy[at]) - exp(Wide(s[at])) * total);
      } else {
        y[at] = Out(Wide(s[at]) * (Wide(dy[at]) - total));
      }
    }
  }
}
