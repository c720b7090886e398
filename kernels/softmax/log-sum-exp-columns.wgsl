// y[column] = ln of the sum of e^x down a column of [outer, extent, inner], otherwise as log-sum-exp.wgsl. Host side: log-sum-exp.ts.
// Constants: DOWN.

fn takeColumn(column: u32, there: bool) {
  let first = placeOf(column, 0u);
  var most = Wide(x[first]);
  for (var r = placeDown; r < params.extent; r += DOWN) {
    most = max(most, Wide(x[first + r * params.inner]));
  }
  let largest = downMax(most);
  let top = select(Wide(0.0), largest, magnitudes(largest) < Bits(INFINITE));
  var terms = Wide(0.0);
  for (var r = placeDown; r < params.extent; r += DOWN) {
    terms += exp(Wide(x[first + r * params.inner]) - top);
  }
  let sum = downSum(terms);
  if (there && placeDown == 0u) {
    tops[column] = Out(top);
    sums[column] = Out(sum);
    var minusInfinity = 0xff800000u;
    // The largest adds 1, so that a sum below is of nothing, whose logarithm WGSL leaves open.
    let nothing = (magnitudes(sum) <= Bits(INFINITE)) & (sum < Wide(0.5));
    y[column] = Out(select(log(sum) + top, Wide(bitcast<f32>(minusInfinity)), nothing));
  }
}
