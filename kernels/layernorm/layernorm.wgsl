// y = gamma (h - mean) / sqrt(variance + eps) + beta along each row, h = dropout(x) + residual (Ba, Kiros and Hinton,
// "Layer normalization", 2016). Mean and variance come from one read by Welford's running update in every lane, joined
// after Chan et al. (1979), which does not cancel as a difference of squares would; and all numbers are taken relative to
// the row's first ones, so that a mean far from 0 costs no digits. One workgroup of WORKERS invocations takes ROWS rows: their moments one after the other, then all of them column by column, so that gamma and beta are
// loaded once. Without CENTRED only the mean of the squares counts, and there is no beta (Zhang and Sennrich, "Root mean square layer
// normalization", 2019). Behind this text
// stand `scaleOf` and `shiftOf`, what gamma and beta have for an item of a row. Host side: layernorm.ts. Constants: ROWS; HAS_RESIDUAL, without which h is x and not written; DROPOUT; CENTRED.

fn takeRows(first: u32) {
  // Past the end the last row is taken again, to the same result.
  let last = params.rows - 1u;
  var rowMoments = array<vec3f, ROWS>();
  for (var r = 0u; r < ROWS; r++) {
    rowMoments[r] = momentsOf(min(first + r, last), r);
  }
  for (var k = 0u; goesOn(k, params.length); k++) {
    let i = lane + k * WORKERS;
    if (HELD > 0u && i >= params.length) {
      continue;
    }
    let scale = scaleOf(first, i);
    var shift = Wide(0.0);
    if (CENTRED) {
      shift = shiftOf(first, i);
    }
    for (var r = 0u; r < ROWS; r++) {
      let at = min(first + r, last) * params.length + i;
      var value = Wide();
      if (HELD > 0u) {
        value = held[r * SLOTS + k];
      } else if (HAS_RESIDUAL) {
        value = Wide(h[at]);
      } else {
        value = Wide(x[at]);
      }
      y[at] = Out((value - rowMoments[r].x - rowMoments[r].y) * rowMoments[r].z * scale + shift);
    }
  }
}

// Item `at` of h, as it is stored: what is stored is what is normalised, also where storing rounds.
fn valueAt(at: u32) -> Wide {
  var value = Wide(x[at]);
  if (DROPOUT) {
    value *= select(Wide(0.0), Wide(params.keptScale), kept(at));
  }
  if (HAS_RESIDUAL) {
    value = Wide(Out(value + Wide(residual[at])));
  }
  return value;
}

// Of row r of the workgroup's the origin, the mean relative to it and 1 / sqrt(variance + eps), which every lane gets; writes h.
fn momentsOf(row: u32, r: u32) -> vec3f {
  let base = row * params.length;
  var origin = 0.0;
  if (CENTRED) {
    origin = total(valueAt(base)) / f32(WIDTH);
  }
  var means = Wide(0.0);
  var squares = Wide(0.0);
  var count = 0.0;
  for (var k = 0u; goesOn(k, params.length); k++) {
    let i = lane + k * WORKERS;
    if (HELD > 0u && i >= params.length) {
      continue;
    }
    let value = valueAt(base + i);
    if (HELD > 0u) {
      held[r * SLOTS + k] = value;
    }
    if (HAS_RESIDUAL) {
      h[base + i] = Out(value);
    }
    if (!CENTRED) {
      squares += value * value;
      continue;
    }
    count += 1.0;
    let away = value - origin;
    let step = away - means;
    means += step / count;
    squares += step * (away - means);
  }
  let n = f32(params.length * WIDTH);
  let mean = laneSum(count * total(means)) / n;
  let between = means - mean;
  let variance = laneSum(total(squares) + count * total(between * between)) / n;
  let result = vec3f(origin, mean, inverseSqrt(variance + params.eps));
  if (lane == 0u) {
    moments[row] = result;
  }
  return result;
}
