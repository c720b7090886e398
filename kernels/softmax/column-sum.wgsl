// The maximum of a column and the sum of e^x relative to it, in one read: the sum is rescaled where the maximum of the next four grows
// (as in softmax.wgsl). Stands behind each-column.wgsl.

// Finite, so that the difference of two maxima is never infinity minus infinity where elements are -infinity.
const LOWEST = -3.4028234e38;

struct TopAndSum {
  top: Wide,
  sum: Wide,
}

fn topAndSum(column: u32) -> TopAndSum {
  let first = placeOf(column, 0u);
  var top = Wide(LOWEST);
  var sum = Wide(0.0);
  for (var r = placeDown; r < params.extent; r += 4u * DOWN) {
    var values = array<Wide, 4>();
    var next = top;
    for (var k = 0u; k < 4u; k++) {
      let at = min(r + k * DOWN, params.extent - 1u);
      values[k] = Wide(x[first + at * params.inner]);
      next = max(next, values[k]);
    }
    sum *= exp(top - next);
    for (var k = 0u; k < 4u; k++) {
      sum += select(Wide(0.0), exp(values[k] - next), Truth(r + k * DOWN < params.extent));
    }
    top = next;
  }
  let whole = downMax(top);
  return TopAndSum(whole, downSum(sum * exp(top - whole)));
}
