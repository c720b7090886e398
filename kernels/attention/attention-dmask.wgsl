// The gradient of attention to a mask that is added, that of its scores: dS = P (dP - delta), from what attention-dq.wgsl left in the
// statistics. Rows are owned and keys pass by as there. Where the mask is the same for all batch rows they are added here, one after
// the other; what it repeats otherwise is summed on the host's side. `gradient`, f32 [mask rows, heads, queries, keys], is zeros
// before: keys that are not looked at stay so. Host side: attention.ts. Constants: HEAD, WORKERS, SPLIT, OWN, BLOCK, DROPOUT.

fn work(maskGroup: u32, first: u32, lane: u32) {
  let row0 = first + lane / SPLIT;
  let head = maskGroup % params.heads;
  var b = maskGroup / params.heads;
  var last = b;
  if (params.maskBatch == 0u) {
    last = params.batch - 1u;
  }
  let end = keysFor(first + STEP * OWN);
  for (; b <= last; b++) {
    let group = b * params.heads + head;
    let kvRow = kvRowOf(b);
    let queries = queriesOf(b, head);
    let outputs = outputsOf(b, head);
    let keys = tokensOf(kvRow, head, params.kOffset);
    let values = tokensOf(kvRow, head, params.vOffset);
    var query = Rows();
    var incoming = Rows();
    var statistic = array<vec2f, OWN>();
    for (var i = 0u; i < OWN; i++) {
      let row = min(row0 + i * STEP, params.queries - 1u);
      query[i] = ownRow(QUERIES, tokenAt(queries, row), params.scale);
      incoming[i] = ownRow(OUTPUTS, tokenAt(outputs, row), 1.0);
      statistic[i] = statistics[group * params.queries + row];
    }
    for (var key0 = 0u; key0 < end; key0 += BLOCK) {
      stage(KEYS, keys, key0, lane);
      stage(VALUES, values, key0, lane);
      for (var j = 0u; j < min(BLOCK, end - key0); j++) {
        var key = passingRow(KEYS, keys, key0, j, lane);
        var value = passingRow(VALUES, values, key0, j, lane);
        let visible = attended(b, key0 + j);
        for (var i = 0u; i < OWN; i++) {
          let row = row0 + i * STEP;
          let score = masked(product(&query, i, &key), b, head, row, key0 + j, visible);
          let p = select(exp2(score - statistic[i].x), 0.0, isHidden(score));
          let factor = dropoutFactor((group * params.queries + row) * params.keys + key0 + j);
          let ds = p * (product(&incoming, i, &value) * factor - statistic[i].y);
          if (row < params.queries && share == 0u) {
            gradient[(maskGroup * params.queries + row) * params.keys + key0 + j] += ds;
          }
        }
      }
    }
  }
}
