// Gradients of softmax, dx = s (dy - sum(dy s)), and of log-softmax, dx = dy - e^s sum(dy), from the saved result s;
// the gradient is written to `y`. One workgroup of WORKERS invocations takes ROWS rows. Host side: softmax.ts.
// Constants: ROWS, LOG.

fn takeRows(first: u32) {
  let count = enterRows(first);
  var totals = vec4f(0.0);
  for (var r = 0u; r < count; r++) {
    enterRow(r);
    var sums = vec4f(0.0);
    for (var v = rowFirst / 4u + lane; v * 4u < rowEnd; v += WORKERS) {
      var term = vec4f(dy[v]);
      if (!LOG) {
        term *= vec4f(s[v]);
      }
      sums += select(vec4f(0.0), term, inRow(v));
    }
    totals[r] = laneSum(dot(sums, vec4f(1.0)));
  }
  for (var v = blockFirst / 4u + lane; v * 4u < blockEnd; v += WORKERS) {
    let result = vec4f(s[v]);
    let incoming = vec4f(dy[v]);
    let total = ofRows(totals, v);
    if (LOG) {
      y[v] = Vec(incoming - exp(result) * total);
    } else {
      y[v] = Vec(result * (incoming - total));
    }
  }
}
