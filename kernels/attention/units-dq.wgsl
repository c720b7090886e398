// The gradient of attention to Q on matrix units; attention-dq.wgsl says what and whence.

fn dotOf(a: vec4u, b: vec4u) -> f32 {
  return dot(vec4f(bitcast<vec4<f16>>(a.xy)), vec4f(bitcast<vec4<f16>>(b.xy)))
    + dot(vec4f(bitcast<vec4<f16>>(a.zw)), vec4f(bitcast<vec4<f16>>(b.zw)));
}

@diagnostic(off, chromium.subgroup_matrix_uniformity) @diagnostic(off, subgroup_uniformity)
fn work(group: u32, first: u32) {
  let head = group % params.heads;
  let b = group / params.heads;
  let kvRow = kvRowOf(b);
  let queries = queriesOf(b, head);
  let outputs = outputsOf(b, head);
  let keys = tokensOf(kvRow, head, params.kOffset);
  let values = tokensOf(kvRow, head, params.vOffset);
  let row = first + me.first + me.row;
  let there = row < params.queries;
  bring(QUERIES, queries, first);
  let query = ownOf(me.first * LINE, 0u);
  bring(OUTPUTS, outputs, first);
  let incoming = ownOf(me.first * LINE, 0u);
  // Not beyond the last row, which another invocation writes.
  var lse = 0.0;
  if (there) {
    lse = statistics[group * params.queries + row].x;
  }
  var delta = 0.0;
  let at = tokenAt(outputs, row) / 2u;
  for (var d = me.part; d < PARTS; d += SPLIT) {
    delta += dotOf(dy[at + d], y[at + d]);
  }
  delta = joined(delta);

  var sums = Outs();
  var scale = 0.0;
  var next = Eights();
  let end = keysFor(first + ROWS);
  fetch(KEYS, keys, values, 0u, &next);
  for (var key0 = 0u; key0 < end; key0 += BLOCK) {
    keep(&next);
    if (key0 + BLOCK < end) {
      fetch(KEYS, keys, values, key0 + BLOCK, &next);
    }
    var raw = Scores();
    across(&raw, query, 0u);
    storeScores(&raw, me.scores);
    var slopes = Scores();
    across(&slopes, incoming, SECOND);
    storeScores(&slopes, me.scores + SCORE_SET);
    workgroupBarrier();
    loop {
      var largest = 0.0;
      for (var c = 0u; c < pairs(); c++) {
        let token = tokenOf(c);
        let dots = params.scale * scoreAt(0u, token);
        let dp = scoreAt(1u, token);
        var weights = vec2f(0.0);
        for (var e = 0u; e < 2u; e++) {
          let key = key0 + token + e;
          let score = masked(dots[e], b, head, row, key, attended(b, key));
          let factor = dropoutFactor((group * params.queries + row) * params.keys + key);
          let ds = exp2(score - lse) * (dp[e] * factor - delta);
          weights[e] = select(ds, 0.0, isHidden(score) || !there);
        }
        largest = max(largest, max(abs(weights.x), abs(weights.y)));
        putWeights(0u, token, scale * weights);
      }
      let better = scaleFor(subgroupMax(largest), scale);
      if (better == scale) {
        break;
      }
      scaleOuts(&sums, better * inverseOf(scale));
      scale = better;
    }
    workgroupBarrier();
    along(&sums, weightsOf(me.weights, 0u), 0u);
  }

  workgroupBarrier();
  finish(&sums, tokenAt(queries, row), params.gradientScale * inverseOf(scale), there);
  if (there && me.part == 0u) {
    statistics[group * params.queries + row] = vec2f(lse, delta);
  }
}
