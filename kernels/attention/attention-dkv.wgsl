// The gradients of attention to K and V without atomics: attention-dq.wgsl with the roles exchanged. A workgroup has
// WORKERS * OWN keys of one head, and queries pass by: dK = scale dSᵀ Q, dV = Pᵀ dY, summed in a fixed order over the batch
// rows that attend to this row of `kv`. The result has the layout of `kv`. Host side: attention.ts.
// Constants: HEAD, WORKERS, SPLIT, OWN, BLOCK, DROPOUT.

fn work(kvGroup: u32, first: u32, lane: u32) {
  let row0 = first + lane / SPLIT;
  let head = kvGroup % params.heads;
  let kvRow = kvGroup / params.heads;
  let tokens0 = tokensOf(kvRow, head, 0u);
  let turns = turnsOf(kvRow);

  var key = Rows();
  var value = Rows();
  var keySums = Rows();
  var valueSums = Rows();
  for (var i = 0u; i < OWN; i++) {
    let at = tokenAt(tokens0, row0 + i * STEP);
    key[i] = ownRow(KEYS, at + params.kOffset, params.scale);
    value[i] = ownRow(VALUES, at + params.vOffset, 1.0);
  }
  for (var turn = turns.x; turn < turns.y; turn++) {
    let b = batchRowOf(kvRow, turn);
    let group = b * params.heads + head;
    let queries = queriesOf(b, head);
    let outputs = outputsOf(b, head);
    var visible = array<bool, OWN>();
    for (var i = 0u; i < OWN; i++) {
      visible[i] = attended(b, row0 + i * STEP);
    }
    for (var query0 = firstQueryFor(first); query0 < params.queries; query0 += BLOCK) {
      stage(QUERIES, queries, query0, lane);
      stage(OUTPUTS, outputs, query0, lane);
      for (var j = 0u; j < min(BLOCK, params.queries - query0); j++) {
        var query = passingRow(QUERIES, queries, query0, j, lane);
        var incoming = passingRow(OUTPUTS, outputs, query0, j, lane);
        let statistic = statistics[group * params.queries + query0 + j];
        for (var i = 0u; i < OWN; i++) {
          let raw = product(&key, i, &query);
          let score = masked(raw, b, head, query0 + j, row0 + i * STEP, visible[i]);
          let p = select(exp2(score - statistic.x), 0.0, isHidden(score));
          let factor = dropoutFactor((group * params.queries + query0 + j) * params.keys + row0 + i * STEP);
          let ds = p * (product(&value, i, &incoming) * factor - statistic.y);
          addScaled(&keySums, i, ds, &query);
          addScaled(&valueSums, i, p * factor, &incoming);
        }
      }
    }
  }

  for (var i = 0u; i < OWN; i++) {
    let row = row0 + i * STEP;
    if (row < params.keys) {
      let at = tokenAt(tokens0, row);
      for (var d = 0u; d < params.quads; d++) {
        gradient[at + params.kOffset + quadAt(d)] = Vec(params.gradientScale * quadOf(&keySums, i, d));
        gradient[at + params.vOffset + quadAt(d)] = Vec(quadOf(&valueSums, i, d));
      }
    }
  }
}
