// softmax(scale Q Kᵀ + mask) V on matrix units; attention-forward.wgsl says what and whence. Weights are exp2(score - top), where top
// is not the largest score of a row so far but within 8 of it, so that what was summed is scaled anew only when a score outgrows that:
// the results have to pass through memory for it, as rows differ. (Lazy rescaling: FlashAttention-4, 2025.)

fn emit(at: u32, quad: vec4f) {
  y[at] = Vec(quad);
}

// Whether some row's results have to be scaled.
var<workgroup> rescale: atomic<u32>;

@diagnostic(off, chromium.subgroup_matrix_uniformity) @diagnostic(off, subgroup_uniformity)
fn work(group: u32, first: u32) {
  let head = group % params.heads;
  let b = group / params.heads;
  let kvRow = kvRowOf(b);
  let keys = tokensOf(kvRow, head, params.kOffset);
  let values = tokensOf(kvRow, head, params.vOffset);
  let row = first + me.first + me.row;
  bring(QUERIES, queriesOf(b, head), first);
  let query = ownOf(me.first * LINE, 0u);
  var sums = Outs();
  var top = LOWEST;
  var total = 0.0;
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
    workgroupBarrier();
    var factor = 1.0;
    loop {
      var largest = LOWEST;
      var sum = 0.0;
      for (var c = 0u; c < pairs(); c++) {
        let token = tokenOf(c);
        let dots = params.scale * scoreAt(0u, token);
        var weights = vec2f(0.0);
        for (var e = 0u; e < 2u; e++) {
          let key = key0 + token + e;
          let score = masked(dots[e], b, head, row, key, attended(b, key));
          largest = max(largest, score);
          let p = select(exp2(score - top), 0.0, isHidden(score));
          sum += p;
          weights[e] = select(0.0, p, dropoutFactor((group * params.queries + row) * params.keys + key) != 0.0);
        }
        putWeights(0u, token, weights);
      }
      largest = joinedLargest(largest);
      // A row's first scores, or some that lie far above.
      let higher = largest > top + 8.0;
      if (!subgroupAny(higher)) {
        total += joined(sum);
        break;
      }
      if (higher) {
        factor = select(exp2(top - largest), 1.0, total == 0.0);
        total *= factor;
        top = largest;
      }
    }
    if (factor != 1.0) {
      atomicStore(&rescale, 1u);
    }
    if (workgroupUniformLoad(&rescale) != 0u) {
      scaleRows(&sums, factor);
      if (me.id == 0u) {
        atomicStore(&rescale, 0u);
      }
    }
    along(&sums, weightsOf(me.weights, 0u), SECOND);
  }

  // A row of kv that isn't there.
  if (kvRow >= params.kvRows) {
    total = nan();
  }
  let empty = bitcast<u32>(total) == 0u;
  let inverse = select(params.keptScale / total, 0.0, empty);
  let there = row < params.queries;
  workgroupBarrier();
  finish(&sums, ((b * params.queries + row) * params.heads + head) * QUADS, inverse, there);
  if (params.save != 0u && me.part == 0u && there) {
    // Without a visible key it is so high that every probability comes out as zero again.
    statistics[group * params.queries + row] = vec2f(select(top + log2(total), -LOWEST, empty), 0.0);
  }
}

// Scales the row that lies in the first set of scores.
fn scaleRow(columns: u32, factor: f32) {
  for (var column = me.part; column < columns; column += SPLIT) {
    scores[me.scores + me.row * SCORE_LINE + column] *= factor;
  }
}
