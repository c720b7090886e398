// y[row] = ln of the sum of e^x over a row, by one workgroup, in two reads: relative to the row's largest number, or to 0 where that
// is infinite. That and the sum stay for the gradient. Host side: log-sum-exp.ts.

fn takeRows(row: u32) {
  let first = row * params.extent;
  var most = Wide(x[first]);
  for (var i = lane; i < params.extent; i += WORKERS) {
    most = max(most, Wide(x[first + i]));
  }
  var top = laneMax(largest(most));
  if (!isFinite(top)) {
    top = 0.0;
  }
  var terms = Wide(0.0);
  for (var i = lane; i < params.extent; i += WORKERS) {
    terms += exp(Wide(x[first + i]) - Wide(top));
  }
  let sum = laneSum(total(terms));
  if (lane == 0u) {
    tops[row] = Result(top);
    sums[row] = Result(sum);
    var minusInfinity = 0xff800000u;
    // The largest adds 1, so that a sum below is of nothing, whose logarithm WGSL leaves open.
    let nothing = !isNan(sum) && sum < 0.5;
    y[row] = Result(select(log(sum) + top, bitcast<f32>(minusInfinity), nothing));
  }
}
