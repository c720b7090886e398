// The gradients of attention to K and V on matrix units; attention-dkv.wgsl says what and whence. Rows of scores are keys here, and
// queries pass by with their dY.

// By which probabilities are multiplied before they become f16, which has no small ones.
const PROBABLE = 1024.0f;

// Log-sum-exp and delta of the queries that pass by.
var<workgroup> passing: array<vec2f, BLOCK>;

@diagnostic(off, chromium.subgroup_matrix_uniformity) @diagnostic(off, subgroup_uniformity)
fn work(kvGroup: u32, first: u32) {
  let head = kvGroup % params.heads;
  let kvRow = kvGroup / params.heads;
  let keys = tokensOf(kvRow, head, params.kOffset);
  let values = tokensOf(kvRow, head, params.vOffset);
  let turns = turnsOf(kvRow);
  let row = first + me.first + me.row;
  bring(KEYS, keys, first);
  let key = ownOf(me.first * LINE, 0u);
  bring(VALUES, values, first);
  let value = ownOf(me.first * LINE, 0u);

  var keySums = Outs();
  var valueSums = Outs();
  var scale = 0.0;
  for (var turn = turns.x; turn < turns.y; turn++) {
    let b = batchRowOf(kvRow, turn);
    let group = b * params.heads + head;
    let queries = queriesOf(b, head);
    let outputs = outputsOf(b, head);
    let visible = attended(b, row);
    let begin = firstQueryFor(first);
    var next = Eights();
    fetch(QUERIES, queries, outputs, begin, &next);
    for (var query0 = begin; query0 < params.queries; query0 += BLOCK) {
      keep(&next);
      if (query0 + BLOCK < params.queries) {
        fetch(QUERIES, queries, outputs, query0 + BLOCK, &next);
      }
      for (var i = me.id; i < BLOCK; i += THREADS) {
        passing[i] = statistics[group * params.queries + min(query0 + i, params.queries - 1u)];
      }
      var raw = Scores();
      across(&raw, key, 0u);
      storeScores(&raw, me.scores);
      var slopes = Scores();
      across(&slopes, value, SECOND);
      storeScores(&slopes, me.scores + SCORE_SET);
      workgroupBarrier();
      loop {
        var largest = 0.0;
        for (var c = 0u; c < pairs(); c++) {
          let token = tokenOf(c);
          let dots = params.scale * scoreAt(0u, token);
          let dp = scoreAt(1u, token);
          var probable = vec2f(0.0);
          var weights = vec2f(0.0);
          for (var e = 0u; e < 2u; e++) {
            let query = query0 + token + e;
            let statistic = passing[token + e];
            let score = masked(dots[e], b, head, query, row, visible);
            let factor = dropoutFactor((group * params.queries + query) * params.keys + row);
            let hidden = isHidden(score) || query >= params.queries;
            let p = select(exp2(score - statistic.x), 0.0, hidden);
            probable[e] = select(0.0, PROBABLE * p, factor != 0.0);
            weights[e] = select(p * (dp[e] * factor - statistic.y), 0.0, hidden);
          }
          largest = max(largest, max(abs(weights.x), abs(weights.y)));
          putWeights(0u, token, probable);
          putWeights(1u, token, scale * weights);
        }
        let better = scaleFor(subgroupMax(largest), scale);
        if (better == scale) {
          break;
        }
        scaleOuts(&keySums, better * inverseOf(scale));
        scale = better;
      }
      workgroupBarrier();
      along(&valueSums, weightsOf(me.weights, 0u), SECOND);
      along(&keySums, weightsOf(me.weights + WEIGHT_SET, 0u), 0u);
    }
  }

  let there = row < params.keys;
  workgroupBarrier();
  finish(&keySums, tokenAt(keys, row), params.gradientScale * inverseOf(scale), there);
  finish(&valueSums, tokenAt(values, row), params.keptScale / PROBABLE, there);
}
