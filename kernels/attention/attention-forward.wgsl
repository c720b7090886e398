// softmax(scale Q Kᵀ + mask) V with an online softmax, so that the scores never reach memory: Milakov and Gimelshein,
// "Online normalizer calculation for softmax" (2018), and Dao et al., "FlashAttention" (2022). A workgroup has WORKERS *
// OWN queries of one head; keys pass in blocks, whose scores stay in registers until the block's maximum is known.
// Host side: attention.ts. Constants: HEAD, WORKERS, SPLIT, OWN, BLOCK, DROPOUT.

fn work(group: u32, first: u32, lane: u32) {
  let row0 = first + lane / SPLIT;
  let head = group % params.heads;
  let b = group / params.heads;
  let kvRow = kvRowOf(b);
  let queries = queriesOf(b, head);
  let keys = tokensOf(kvRow, head, params.kOffset);
  let values = tokensOf(kvRow, head, params.vOffset);

  var query = Rows();
  var sums = Rows();
  var top = array<f32, OWN>();
  var total = array<f32, OWN>();
  for (var i = 0u; i < OWN; i++) {
    query[i] = ownRow(QUERIES, tokenAt(queries, row0 + i * STEP), params.scale);
    top[i] = LOWEST;
  }
  let end = keysFor(first + STEP * OWN);
  for (var key0 = 0u; key0 < end; key0 += BLOCK) {
    let count = min(BLOCK, end - key0);
    stage(KEYS, keys, key0, lane);
    stage(VALUES, values, key0, lane);
    var scores = array<array<f32, BLOCK>, OWN>();
    for (var j = 0u; j < count; j++) {
      var key = passingRow(KEYS, keys, key0, j, lane);
      let visible = attended(b, key0 + j);
      for (var i = 0u; i < OWN; i++) {
        let row = row0 + i * STEP;
        let score = masked(product(&query, i, &key), b, head, row, key0 + j, visible);
        for (var e = 0u; e < BLOCK; e++) {
          scores[i][e] = select(scores[i][e], score, j == e);
        }
      }
    }
    for (var i = 0u; i < OWN; i++) {
      var newTop = top[i];
      for (var e = 0u; e < BLOCK; e++) {
        newTop = max(newTop, select(LOWEST, scores[i][e], e < count));
      }
      let decay = exp2(top[i] - newTop);
      top[i] = newTop;
      total[i] *= decay;
      for (var d = 0u; d < PART; d++) {
        sums[i][d] *= decay;
      }
    }
    for (var j = 0u; j < count; j++) {
      var value = passingRow(VALUES, values, key0, j, lane);
      for (var i = 0u; i < OWN; i++) {
        var score = scores[i][0];
        for (var e = 1u; e < BLOCK; e++) {
          score = select(score, scores[i][e], j == e);
        }
        // A key that nobody may see has the lowest score also where all have it.
        let p = select(exp2(score - top[i]), 0.0, isHidden(score));
        total[i] += p;
        let at = (group * params.queries + row0 + i * STEP) * params.keys + key0 + j;
        addScaled(&sums, i, p * dropoutFactor(at), &value);
      }
    }
  }

  for (var i = 0u; i < OWN; i++) {
    let row = row0 + i * STEP;
    if (row < params.queries) {
      // A row of kv that isn't there.
      if (kvRow >= params.kvRows) {
        total[i] = nan();
      }
      // Where no key is visible the result is zero.
      let empty = bitcast<u32>(total[i]) == 0u;
      let inverse = select(1.0 / total[i], 0.0, empty);
      let at = ((b * params.queries + row) * params.heads + head) * QUADS;
      for (var d = 0u; d < params.quads; d++) {
        y[at + quadAt(d)] = Vec(inverse * quadOf(&sums, i, d));
      }
      if (params.save != 0u && share == 0u) {
        // Without a visible key it is so high that every probability comes out as zero again.
        let lse = select(top[i] + log2(total[i]), -LOWEST, empty);
        statistics[group * params.queries + row] = vec2f(lse, 0.0);
      }
    }
  }
}
