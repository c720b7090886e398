// Gradients of softmax, dx = s (dy - sum(dy s)), and of log-softmax, dx = dy - e^s sum(dy), from the saved result s;
// the gradient is written to `y`. One workgroup of WORKERS invocations a row. Host side: softmax.ts.
// Constants: ALIGNED, LOG.

@compute @workgroup_size(WORKERS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  lane = id;
  let row = wg.y * GRID_X + wg.x;
  if (row >= params.rows) {
    return;
  }
  enterRow(row, params.length);
  let end = endVec();
  var sums = vec4f(0.0);
  for (var v = firstVec() + id; v < end; v += WORKERS) {
    var term = vec4f(dy[v]);
    if (!LOG) {
      term *= vec4f(s[v]);
    }
    sums += select(vec4f(0.0), term, inRow(v));
  }
  let sum = laneSum(dot(sums, vec4f(1.0)));
  for (var v = firstVec() + id; v < end; v += WORKERS) {
    let result = vec4f(s[v]);
    let incoming = vec4f(dy[v]);
    if (LOG) {
      storeRow(v, incoming - exp(result) * sum);
    } else {
      storeRow(v, result * (incoming - sum));
    }
  }
}
