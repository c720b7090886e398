// Softmax or log-softmax of every row in two reads: the first finds maximum and sum together, rescaling the sum
// whenever the maximum grows (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018). One workgroup
// of WORKERS invocations a row. Host side: softmax.ts. Constants: ALIGNED, LOG.

// Finite, so that the difference of two maxima is never infinity minus infinity where elements are -infinity.
const LOWEST = -3.4028234e38;

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let row = wg.y * GRID_X + wg.x;
  if (row >= params.rows) {
    return;
  }
  enterRow(row, params.length);
  let end = endVec();
  var largest = LOWEST;
  var sum = 0.0;
  for (var v = firstVec() + id; v < end; v += WORKERS) {
    let inside = inRow(v);
    let value = select(vec4f(LOWEST), vec4f(x[v]), inside);
    let next = max(largest, max(max(value.x, value.y), max(value.z, value.w)));
    let terms = select(vec4f(0.0), exp(value - next), inside);
    sum = sum * exp(largest - next) + dot(terms, vec4f(1.0));
    largest = next;
  }
  let rowLargest = laneMax(largest);
  let rowSum = laneSum(sum * exp(largest - rowLargest));
  if (LOG) {
    let offset = rowLargest + log(rowSum);
    for (var v = firstVec() + id; v < end; v += WORKERS) {
      storeRow(v, vec4f(x[v]) - offset);
    }
  } else {
    let factor = 1.0 / rowSum;
    for (var v = firstVec() + id; v < end; v += WORKERS) {
      storeRow(v, exp(vec4f(x[v]) - rowLargest) * factor);
    }
  }
}
