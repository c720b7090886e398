// Matrix product of f16 operands on an adapter's matrix units (tensor cores), with sums in f32: the f16 accumulator
// overflows on real models. 2 x 2 subgroups work on a tile, each on UNITS x UNITS matrices of results. matrix-staged.wgsl and
// matrix-direct.wgsl offer `sumUp`, by which way operands come to the units. Results pass through workgroup memory for the
// epilogue, a row of units at a time. Sums of op(a)'s rows are products with ones.
// Constants: UNITS, and see tiles.wgsl and product.wgsl.

const THREADS = 4u * LANES;
const ROWS = 2u * UNITS * MATRIX_M;
const COLUMNS = 2u * UNITS * MATRIX_N;
const DEPTH = 32u;
// One subgroup's row of units, in numbers, with its lines.
const LINE = UNITS * MATRIX_N + 4u;
const PLACE = MATRIX_M * LINE;

alias Sums = array<Result, UNITS * UNITS>;
// Whose columns are all the same.
alias Totals = array<Result, UNITS>;
alias Lefts = array<Left, UNITS>;
alias Rights = array<Right, UNITS>;

@compute @workgroup_size(THREADS) @diagnostic(off, chromium.subgroup_matrix_uniformity)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32,
  @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let tile = place(wg, ROWS, COLUMNS);
  if (tile.none) {
    return;
  }
  // Where this subgroup's matrices start within the tile.
  let row = subgroup / 2u * UNITS * MATRIX_M;
  let column = subgroup % 2u * UNITS * MATRIX_N;
  var sums = Sums();
  var totals = Totals();
  sumUp(tile, id, row, column, &sums, &totals);
  finishUnits(tile, &sums, subgroup * PLACE, lane, tile.row + row, tile.column + column);
  if (HAS_SUMS && tile.column == 0u) {
    finishTotals(tile, &totals, subgroup, subgroup * PLACE, lane, tile.row + row);
  }
}

// Whether a tile's products with ones are taken: by those of the first columns.
fn takesTotals(tile: Tile) -> bool {
  return HAS_SUMS && tile.column == 0u;
}

// Epilogue and store of a row of units that lies in this subgroup's part of workgroup memory, from `mine` on.
fn finishRow(tile: Tile, mine: u32, lane: u32, row: u32, column: u32) {
  const quads = UNITS * MATRIX_N / 4u;
  for (var i = lane; i < MATRIX_M * quads; i += LANES) {
    let line = i / quads;
    let at = i % quads * 4u;
    finish(tile, row + line, column + at, fourAt(mine + line * LINE + at));
  }
}

// The same of the sums of rows: the first column of each matrix, by the subgroups of the tile's left half.
fn finishTotal(tile: Tile, mine: u32, subgroup: u32, lane: u32, row: u32) {
  if (subgroup % 2u == 0u) {
    for (var i = 4u * lane; i < MATRIX_M; i += 4u * LANES) {
      let at = mine + i * LINE;
      let four = vec4f(fourAt(at).x, fourAt(at + LINE).x, fourAt(at + 2u * LINE).x, fourAt(at + 3u * LINE).x);
      finishSums(tile, row + i, four);
    }
  }
}
