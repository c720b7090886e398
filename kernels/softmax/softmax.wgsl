// Softmax or log-softmax of every row in two reads: the first finds maximum and sum together, rescaling the sum
// whenever the maximum grows (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). One workgroup
// of WORKERS invocations takes ROWS rows, which in registers are read once. Host side: softmax.ts. Constants: ROWS, HELD, LOG.

// Finite, so that the difference of two maxima is never infinity minus infinity where elements are -infinity.
const LOWEST = -3.4028234e38;

fn takeRows(first: u32) {
  let count = enterRows(first);
  if (HELD > 0u) {
    takeHeld();
    return;
  }
  var tops = vec4f(0.0);
  // 1 / the row's sum, or its logarithm.
  var factors = vec4f(0.0);
  for (var r = 0u; r < count; r++) {
    enterRow(r);
    var largest = LOWEST;
    var sum = 0.0;
    for (var v = rowFirst / 4u + lane; v * 4u < rowEnd; v += WORKERS) {
      let inside = inRow(v);
      let value = select(vec4f(LOWEST), vec4f(x[v]), inside);
      let next = max(largest, max(max(value.x, value.y), max(value.z, value.w)));
      let terms = select(vec4f(0.0), exp(value - next), inside);
      sum = sum * exp(largest - next) + dot(terms, vec4f(1.0));
      largest = next;
    }
    let top = laneMax(largest);
    let whole = laneSum(sum * exp(largest - top));
    tops[r] = top;
    factors[r] = select(1.0 / whole, log(whole), LOG);
  }
  for (var v = blockFirst / 4u + lane; v * 4u < blockEnd; v += WORKERS) {
    // Below the maximum first: its sum with the logarithm would be rounded to a number of the maximum's size.
    let below = vec4f(x[v]) - ofRows(tops, v);
    let factor = ofRows(factors, v);
    if (LOG) {
      y[v] = Vec(below - factor);
    } else {
      y[v] = Vec(exp(below) * factor);
    }
  }
}

// What of the workgroup's vec4 v is of the row that was entered last.
fn ownOf(v: u32) -> vec4<bool> {
  return inRow(v) & vec4<bool>(v * 4u < blockEnd);
}

// The rows of the workgroup together: an invocation has vec4s of all of them.
fn takeHeld() {
  let begin = blockFirst / 4u + lane;
  for (var k = 0u; k < HELD; k++) {
    held[k] = vec4f(x[min(begin + k * WORKERS, (blockEnd - 1u) / 4u)]);
  }
  var tops = vec4f(0.0);
  for (var r = 0u; r < ROWS; r++) {
    enterRow(r);
    var most = vec4f(LOWEST);
    for (var k = 0u; k < HELD; k++) {
      most = max(most, select(vec4f(LOWEST), held[k], ownOf(begin + k * WORKERS)));
    }
    tops[r] = laneMax(max(max(most.x, most.y), max(most.z, most.w)));
  }
  for (var k = 0u; k < HELD; k++) {
    let below = held[k] - ofRows(tops, begin + k * WORKERS);
    held[k] = select(exp(below), below, LOG);
  }
  var factors = vec4f(0.0);
  for (var r = 0u; r < ROWS; r++) {
    enterRow(r);
    var terms = vec4f(0.0);
    for (var k = 0u; k < HELD; k++) {
      let term = select(held[k], exp(held[k]), LOG);
      terms += select(vec4f(0.0), term, ownOf(begin + k * WORKERS));
    }
    let whole = laneSum(dot(terms, vec4f(1.0)));
    factors[r] = select(1.0 / whole, log(whole), LOG);
  }
  for (var k = 0u; k < HELD; k++) {
    let v = begin + k * WORKERS;
    let factor = ofRows(factors, v);
    if (v * 4u < blockEnd) {
      y[v] = Vec(select(held[k] * factor, held[k] - factor, LOG));
    }
  }
}
