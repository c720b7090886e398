// The Recall@K surrogate (Patel et al., "Recall@k surrogate loss with large batches", arXiv 2108.11179): a smooth rank
//   rank = 1 + sum_{j != target} sigmoid((s_j - s_target) / rankTemperature)
// and loss = 1 - mean_K sigmoid((K - rank) / recallTemperature) for K in {1, 2, 4, 8, 16}; arguments are clamped to
// +-50. One workgroup of WORKERS invocations a row. Constant: BACKWARD. `extra` is the rank [rows]; `y` is losses [rows]
// or ds [rows, columns].

fn step(value: f32) -> f32 {
  return 1.0 / (1.0 + exp(-clampNumber(value, -50.0, 50.0)));
}

// The slope of `step`; zero where the argument is clamped.
fn slope(value: f32) -> f32 {
  let p = step(value);
  return select(p * (1.0 - p), 0.0, abs(value) >= 50.0 && !isNan(value));
}

fn counts(at: u32) -> bool {
  return params.hasIgnore == 0u || ignored[at] == 0u;
}

fn takeRows(row: u32) {
  let base = row * params.columns;
  let at = goal[row];
  // Beyond the columns there is no target, and all is NaN.
  let positive = select(nan(), s[base + at], at < params.columns);
  if (!BACKWARD) {
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += WORKERS) {
      sum += select(0.0, step((s[base + j] - positive) / params.rankTemperature), j != at && counts(base + j));
    }
    let rank = 1.0 + laneSum(sum);
    if (lane == 0u) {
      var hits = 0.0;
      for (var i = 0u; i < 5u; i++) {
        hits += step((f32(1u << i) - rank) / params.recallTemperature);
      }
      extra[row] = rank;
      y[row] = 1.0 - hits / 5.0;
    }
  } else {
    var dRank = 0.0;
    for (var i = 0u; i < 5u; i++) {
      dRank += slope((f32(1u << i) - extra[row]) / params.recallTemperature);
    }
    let g = dy[row] * dRank / (5.0 * params.recallTemperature * params.rankTemperature);
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += WORKERS) {
      let other = j != at && counts(base + j);
      let ds = select(0.0, g * slope((s[base + j] - positive) / params.rankTemperature), other);
      if (j != at) {
        y[base + j] = ds;
      }
      sum += ds;
    }
    let whole = laneSum(sum);
    if (lane == 0u && at < params.columns) {
      y[base + at] = -whole;
    }
  }
}
