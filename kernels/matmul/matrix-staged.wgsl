// How operands come to the units through workgroup memory, for all sizes: 32 terms a step. While a step is multiplied the next
// one's eights are on their way to registers; from there they go to the other of two places in memory, so that a step has one
// barrier. `eightOfA` and `eightOfB` are written by variants.ts.

// Lines of a tile are terms where operands are stored [k, m] or [k, n], else rows or columns.
const RUN_A = select(DEPTH, ROWS, TRANS_A);
const RUN_B = select(COLUMNS, DEPTH, TRANS_B);
const STRIDE_A = RUN_A + 8u;
const STRIDE_B = RUN_B + 8u;
// Eights of a line, of a tile, and of it those that one invocation brings.
const PARTS_A = RUN_A / 8u;
const PARTS_B = RUN_B / 8u;
const EIGHTS_A = ROWS * DEPTH / 8u;
const EIGHTS_B = COLUMNS * DEPTH / 8u;
const TURNS_A = (EIGHTS_A + THREADS - 1u) / THREADS;
const TURNS_B = (EIGHTS_B + THREADS - 1u) / THREADS;
// Elements of the tiles of `a` and `b`, and of both.
const TILE_A = EIGHTS_A / PARTS_A * STRIDE_A;
const TILE_B = EIGHTS_B / PARTS_B * STRIDE_B;
const STEP = TILE_A + TILE_B;
// From a term, a row or a column to the next.
const TERM_A = select(1u, STRIDE_A, TRANS_A);
const TERM_B = select(STRIDE_B, 1u, TRANS_B);
const ROW = select(STRIDE_A, 1u, TRANS_A);
const COLUMN = select(1u, STRIDE_B, TRANS_B);

alias EightsOfA = array<vec4u, TURNS_A>;
alias EightsOfB = array<vec4u, TURNS_B>;

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn sumUp(tile: Tile, id: u32, row: u32, column: u32, sums: ptr<function, Sums>, totals: ptr<function, Totals>) {
  var nextA = EightsOfA();
  var nextB = EightsOfB();
  fetch(tile, id, tile.begin, &nextA, &nextB);
  keep(0u, id, &nextA, &nextB);
  workgroupBarrier();
  var at = 0u;
  for (var k = tile.begin; k < tile.end; k += DEPTH) {
    let more = k + DEPTH < tile.end;
    if (more) {
      fetch(tile, id, k + DEPTH, &nextA, &nextB);
    }
    for (var d = 0u; d < DEPTH; d += MATRIX_K) {
      let a = leftsOf(at + d * TERM_A + row * ROW, 0u);
      let b = rightsOf(at + TILE_A + d * TERM_B + column * COLUMN, 0u);
      multiplyUnits(sums, a, b);
      if (takesTotals(tile)) {
        multiplyOnes(totals, a, array<Right, 1>(Right(1.0h)));
      }
    }
    at = STEP - at;
    if (more) {
      keep(at, id, &nextA, &nextB);
    }
    workgroupBarrier();
  }
}

// Brings a step's eights from `k` on. Beyond the last term they are zeros; beyond the last row or column they are some, which no
// result that is stored depends on.
fn fetch(tile: Tile, id: u32, k: u32, nextA: ptr<function, EightsOfA>, nextB: ptr<function, EightsOfB>) {
  for (var t = 0u; t < TURNS_A; t++) {
    let i = t * THREADS + id;
    let line = lineOf(i, PARTS_A);
    let part = partOf(i, PARTS_A) * 8u;
    let term = k + select(part, line, TRANS_A);
    let row = tile.row + select(line, part, TRANS_A);
    (*nextA)[t] = vec4u();
    if (term < tile.end && i < EIGHTS_A) {
      if (TRANS_A) {
        let first = min(row, (params.m - 1u) / 8u * 8u);
        (*nextA)[t] = eightOfA(tile.a + term * params.m + first, params.m - first);
      } else {
        (*nextA)[t] = eightOfA(tile.a + min(row, params.m - 1u) * params.k + term, params.k - term);
      }
    }
  }
  for (var t = 0u; t < TURNS_B; t++) {
    let i = t * THREADS + id;
    let line = lineOf(i, PARTS_B);
    let part = partOf(i, PARTS_B) * 8u;
    let term = k + select(line, part, TRANS_B);
    let column = tile.column + select(part, line, TRANS_B);
    (*nextB)[t] = vec4u();
    if (term < tile.end && i < EIGHTS_B) {
      if (TRANS_B) {
        (*nextB)[t] = eightOfB(tile.b + min(column, params.n - 1u) * params.k + term, params.k - term);
      } else {
        let first = min(column, (params.n - 1u) / 8u * 8u);
        (*nextB)[t] = eightOfB(tile.b + term * params.n + first, params.n - first);
      }
    }
  }
}

fn keep(at: u32, id: u32, nextA: ptr<function, EightsOfA>, nextB: ptr<function, EightsOfB>) {
  for (var t = 0u; t < TURNS_A; t++) {
    let i = t * THREADS + id;
    if (i < EIGHTS_A) {
      put(at + lineOf(i, PARTS_A) * STRIDE_A + partOf(i, PARTS_A) * 8u, (*nextA)[t]);
    }
  }
  for (var t = 0u; t < TURNS_B; t++) {
    let i = t * THREADS + id;
    if (i < EIGHTS_B) {
      put(at + TILE_A + lineOf(i, PARTS_B) * STRIDE_B + partOf(i, PARTS_B) * 8u, (*nextB)[t]);
    }
  }
}
