// The gradient of attention to Q without atomics (Dao, "FlashAttention-2", 2023): the probabilities P are computed again
// from the saved log-sum-exp, dS = P (dP - delta) with dP = dY Vᵀ and dQ = scale dS K. delta = rowsum(dY * Y), which
// equals the sum over keys of P * dP, is computed first and left to attention-dkv.wgsl. A workgroup has WORKERS * OWN
// queries of one head, and keys pass by. The result has the layout of `q`, so it goes straight into the columns of a
// fused projection's gradient. Host side: attention.ts. Constants: HEAD, WORKERS, SPLIT, OWN, BLOCK, DROPOUT.

fn work(group: u32, first: u32, lane: u32) {
  let row0 = first + lane / SPLIT;
  let head = group % params.heads;
  let b = group / params.heads;
  let kvRow = kvRowOf(b);
  let queries = queriesOf(b, head);
  let outputs = outputsOf(b, head);
  let keys = tokensOf(kvRow, head, params.kOffset);
  let values = tokensOf(kvRow, head, params.vOffset);

  var query = Rows();
  var incoming = Rows();
  var sums = Rows();
  var lse = array<f32, OWN>();
  var delta = array<f32, OWN>();
  for (var i = 0u; i < OWN; i++) {
    let row = min(row0 + i * STEP, params.queries - 1u);
    query[i] = ownRow(QUERIES, tokenAt(queries, row), params.scale);
    let at = tokenAt(outputs, row);
    incoming[i] = ownRow(OUTPUTS, at, 1.0);
    for (var d = 0u; d < params.quads; d++) {
      delta[i] += dot(quadOf(&incoming, i, d), vec4f(y[at + quadAt(d)]));
    }
    delta[i] = joined(delta[i]);
    // Not beyond the last row, which another invocation writes.
    if (row0 + i * STEP < params.queries) {
      lse[i] = statistics[group * params.queries + row].x;
    }
  }
  let end = keysFor(first + STEP * OWN);
  for (var key0 = 0u; key0 < end; key0 += BLOCK) {
    stage(KEYS, keys, key0, lane);
    stage(VALUES, values, key0, lane);
    for (var j = 0u; j < min(BLOCK, end - key0); j++) {
      var key = passingRow(KEYS, keys, key0, j, lane);
      var value = passingRow(VALUES, values, key0, j, lane);
      let visible = attended(b, key0 + j);
      for (var i = 0u; i < OWN; i++) {
        let score = masked(product(&query, i, &key), b, head, row0 + i * STEP, key0 + j, visible);
        let p = select(exp2(score - lse[i]), 0.0, isHidden(score));
        let at = (group * params.queries + row0 + i * STEP) * params.keys + key0 + j;
        let ds = p * (product(&incoming, i, &value) * dropoutFactor(at) - delta[i]);
        addScaled(&sums, i, ds, &key);
      }
    }
  }

  for (var i = 0u; i < OWN; i++) {
    let row = row0 + i * STEP;
    if (row < params.queries) {
      let at = tokenAt(queries, row);
      for (var d = 0u; d < params.quads; d++) {
        gradient[at + quadAt(d)] = Vec(params.gradientScale * quadOf(&sums, i, d));
      }
      if (share == 0u) {
        statistics[group * params.queries + row] = vec2f(lse[i], delta[i]);
      }
    }
  }
}
