// What every variant of the matrix product shares: its parameters, where a workgroup's tile lies, and the epilogue.
// y = op(a) op(b) for every matrix of a batch; `a` is stored [m, k], or [k, m] with TRANS_A, `b` [k, n], or [n, k] with
// TRANS_B. A quad is four neighbours in memory; variants.ts writes how they are loaded and stored.
// Constants: TRANS_A, TRANS_B, GELU, SLOPE; HAS_SUMS and HAS_PRE come with what is kept beside y.

// A workgroup's part of the work.
struct Tile {
  row: u32,
  column: u32,
  // Elements in front of its matrices.
  a: u32,
  b: u32,
  // Its terms along k.
  begin: u32,
  end: u32,
  // Elements of y in front of its matrix; and its split.
  y: u32,
  split: u32,
  none: bool,
}

fn place(wg: vec3u, rows: u32, columns: u32) -> Tile {
  var index = wg.y * GRID_X + wg.x;
  let part = index / params.tiles;
  index -= part * params.tiles;
  let matrix = part / params.splits;
  let split = part - matrix * params.splits;
  let begin = split * params.depth;
  return Tile(
    index / params.tilesN * rows,
    index % params.tilesN * columns,
    matrix / params.repeatA % params.countA * params.strideA,
    matrix / params.repeatB % params.countB * params.strideB,
    begin,
    min(begin + params.depth, params.k),
    split * params.splitStride + matrix * params.m * params.n,
    split,
    matrix >= params.batch,
  );
}

// One quad of results: epilogue and store; nothing beyond the edges.
fn finish(tile: Tile, row: u32, column: u32, sum: vec4f) {
  if (row >= params.m || column >= params.n) {
    return;
  }
  let at = tile.y + row * params.n + column;
  let left = params.n - column;
  var value = sum * params.scale;
  if (params.hasBias != 0u) {
    value += loadBias(column, left);
  }
  if (GELU) {
    if (HAS_PRE) {
      storePre(at, left, value);
    }
    value = gelu(value);
  }
  if (SLOPE) {
    // The binding has the values at which GELU's slope is taken.
    value *= geluSlope(loadResidual(at, left));
  }
  if (params.hasResidual != 0u) {
    value += loadResidual(at, left);
  }
  store(at, left, value);
}

// The sums of four rows of op(a), by those who work on the first columns.
fn finishSums(tile: Tile, row: u32, sums: vec4f) {
  if (tile.column == 0u && row < params.m) {
    storeSums(tile.split * params.sumsStride + row, sums);
  }
}
