// How operands come to the units straight from storage, without a barrier: where sizes are whole units. The next step's matrices
// are on their way while a step is multiplied. What lies beyond the last row or column is the last unit's again.

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn sumUp(tile: Tile, id: u32, row: u32, column: u32, sums: ptr<function, Sums>, totals: ptr<function, Totals>) {
  if (tile.begin >= tile.end) {
    return;
  }
  let termA = select(1u, params.m, TRANS_A);
  let termB = select(params.n, 1u, TRANS_B);
  let last = tile.end - MATRIX_K;
  var a = leftsOf(tile.a + tile.begin * termA, tile.row + row);
  var b = rightsOf(tile.b + tile.begin * termB, tile.column + column);
  for (var k = tile.begin; k < tile.end; k += MATRIX_K) {
    let next = min(k + MATRIX_K, last);
    let nextA = leftsOf(tile.a + next * termA, tile.row + row);
    let nextB = rightsOf(tile.b + next * termB, tile.column + column);
    multiplyUnits(sums, a, b);
    if (takesTotals(tile)) {
      multiplyOnes(totals, a, array<Right, 1>(Right(1.0h)));
    }
    a = nextA;
    b = nextB;
  }
}
