// Contrastive cross-entropy of a row of similarities: loss = log sum_j exp(s_j / t) - s_target / t over the pictures
// that are not ignored (InfoNCE; van den Oord et al., arXiv 1807.03748). One workgroup of WORKERS invocations a row.
// Backward: ds_j = g (p_j - [j = target]) / t, and this row's part of dt = -sum_j ds_j s_j / t.
// Constant: BACKWARD. `extra` is [rows]: the highest logit and, apart from it, as their sum would be rounded to a number
// of its size, the logarithm of the sum of exp(logit - highest). `y` is losses [rows] or ds [rows, columns], NaN where the
// target is beyond the columns.

fn counts(at: u32) -> bool {
  return params.hasIgnore == 0u || ignored[at] == 0u;
}

fn takeRows(row: u32) {
  let base = row * params.columns;
  let inverse = 1.0 / temperature[0];
  let target_ = goal[row];
  if (!BACKWARD) {
    var highest = -3.0e38;
    for (var j = lane; j < params.columns; j += WORKERS) {
      highest = max(highest, select(-3.0e38, s[base + j] * inverse, counts(base + j)));
    }
    highest = laneMax(highest);
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += WORKERS) {
      sum += select(0.0, exp(s[base + j] * inverse - highest), counts(base + j));
    }
    let logSum = log(laneSum(sum));
    if (lane == 0u) {
      extra[row] = vec2f(highest, logSum);
      y[row] = select(nan(), highest - s[base + target_] * inverse + logSum, target_ < params.columns);
    }
  } else {
    let g = select(nan(), dy[row], target_ < params.columns);
    let saved = extra[row];
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += WORKERS) {
      let p = select(0.0, exp(s[base + j] * inverse - saved.x - saved.y), counts(base + j));
      let ds = g * (p - select(0.0, 1.0, j == target_)) * inverse;
      y[base + j] = ds;
      sum += ds * s[base + j];
    }
    let whole = laneSum(sum);
    if (lane == 0u) {
      dTemperature[row] = -whole * inverse;
    }
  }
}
