// Which batch rows attend to a row of `kv`, a turn each: those that `source` lists, or where there is none the row of the same number.

// The first turn and the one after the last.
fn turnsOf(kvRow: u32) -> vec2u {
  if (params.hasSource != 0u) {
    let at = params.batch + kvRow;
    // Nobody has checked a tensor's contents.
    return vec2u(source[at], min(source[at + 1u], params.batch));
  }
  return vec2u(0u, 1u);
}

fn batchRowOf(kvRow: u32, turn: u32) -> u32 {
  if (params.hasSource != 0u) {
    return source[params.batch + params.kvRows + 1u + turn];
  }
  return kvRow;
}
