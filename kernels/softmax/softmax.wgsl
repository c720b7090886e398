// Softmax or log-softmax of every row in two reads: the first finds maximum and sum together, rescaling the sum
// whenever the maximum grows (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). One workgroup
// of WORKERS invocations takes ROWS rows. Host side: softmax.ts. Constants: ROWS, LOG.

// Finite, so that the difference of two maxima is never infinity minus infinity where elements are -infinity.
const LOWEST = -3.4028234e38;

fn takeRows(first: u32) {
  let count = enterRows(first);
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
