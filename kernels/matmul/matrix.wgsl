// Matrix product of f16 operands on an adapter's matrix units (tensor cores), with sums in f32: the f16 accumulator
// overflows on real models. 2 x 4 subgroups work on a tile of 8 x 8 matrices of MATRIX_M x MATRIX_N results, each on
// 4 x 2 of them; operands go through shared memory, 32 terms a step, as quads-*.wgsl loads them. Results pass through
// shared memory for the epilogue.
//
// NEVER RUN: the machines of this project had no adapter with chromium_experimental_subgroup_matrix. Dawn's null
// backend compiles it (test/matrix.test.ts), which checks types, limits and uniformity, and nothing about numbers.
// Constants: MATRIX_M, MATRIX_N, MATRIX_K, and see product.wgsl.

const THREADS = 8u * LANES;
const ROWS = 8u * MATRIX_M;
const COLUMNS = 8u * MATRIX_N;
const DEPTH = 32u;
// Blocks of 4 x 4 that a step needs of each operand, at most one an invocation.
const BLOCKS_A = ROWS * DEPTH / 16u;
const BLOCKS_B = COLUMNS * DEPTH / 16u;
const STRIDE_A = ROWS + 8u;
const STRIDE_B = COLUMNS + 8u;
const CELLS = MATRIX_M * MATRIX_N;

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

// Term by term, so `a` column-major and `b` row-major.
var<workgroup> tileA: array<f16, DEPTH * STRIDE_A>;
var<workgroup> tileB: array<f16, DEPTH * STRIDE_B>;
// One matrix of results per subgroup.
var<workgroup> results: array<f32, 8u * CELLS>;

@compute @workgroup_size(THREADS) @diagnostic(off, chromium.subgroup_matrix_uniformity)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let tile = place(wg, ROWS, COLUMNS);
  if (tile.none) {
    return;
  }
  let subgroup = id / LANES;
  let lane = id % LANES;
  // Where this subgroup's matrices start within the tile.
  let row = subgroup / 4u * 4u * MATRIX_M;
  let column = subgroup % 4u * 2u * MATRIX_N;
  var c00 = Result();
  var c01 = Result();
  var c10 = Result();
  var c11 = Result();
  var c20 = Result();
  var c21 = Result();
  var c30 = Result();
  var c31 = Result();
  var sums = vec4f();
  let quadA = id % (ROWS / 4u) * 4u;
  let termA = id / (ROWS / 4u) * 4u;
  let quadB = id % (COLUMNS / 4u) * 4u;
  let termB = id / (COLUMNS / 4u) * 4u;
  for (var k = tile.begin; k < tile.end; k += DEPTH) {
    if (id < BLOCKS_A) {
      var block = array<vec4f, 4>();
      if (k + termA < tile.end) {
        block = blockOfA(tile, tile.row + quadA, k + termA);
      }
      sums += block[0] + block[1] + block[2] + block[3];
      for (var j = 0u; j < 4u; j++) {
        let to = (termA + j) * STRIDE_A + quadA;
        for (var i = 0u; i < 4u; i++) {
          tileA[to + i] = f16(block[j][i]);
        }
      }
    }
    if (id < BLOCKS_B) {
      var block = array<vec4f, 4>();
      if (k + termB < tile.end) {
        block = blockOfB(tile, tile.column + quadB, k + termB);
      }
      for (var j = 0u; j < 4u; j++) {
        let to = (termB + j) * STRIDE_B + quadB;
        for (var i = 0u; i < 4u; i++) {
          tileB[to + i] = f16(block[j][i]);
        }
      }
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d += MATRIX_K) {
      let fromA = d * STRIDE_A + row;
      let fromB = d * STRIDE_B + column;
      let b0 = subgroupMatrixLoad<Right>(&tileB, fromB, false, STRIDE_B);
      let b1 = subgroupMatrixLoad<Right>(&tileB, fromB + MATRIX_N, false, STRIDE_B);
      let a0 = subgroupMatrixLoad<Left>(&tileA, fromA, true, STRIDE_A);
      c00 = subgroupMatrixMultiplyAccumulate(a0, b0, c00);
      c01 = subgroupMatrixMultiplyAccumulate(a0, b1, c01);
      let a1 = subgroupMatrixLoad<Left>(&tileA, fromA + MATRIX_M, true, STRIDE_A);
      c10 = subgroupMatrixMultiplyAccumulate(a1, b0, c10);
      c11 = subgroupMatrixMultiplyAccumulate(a1, b1, c11);
      let a2 = subgroupMatrixLoad<Left>(&tileA, fromA + 2u * MATRIX_M, true, STRIDE_A);
      c20 = subgroupMatrixMultiplyAccumulate(a2, b0, c20);
      c21 = subgroupMatrixMultiplyAccumulate(a2, b1, c21);
      let a3 = subgroupMatrixLoad<Left>(&tileA, fromA + 3u * MATRIX_M, true, STRIDE_A);
      c30 = subgroupMatrixMultiplyAccumulate(a3, b0, c30);
      c31 = subgroupMatrixMultiplyAccumulate(a3, b1, c31);
    }
    workgroupBarrier();
  }

  let mine = subgroup * CELLS;
  let top = tile.row + row;
  let start = tile.column + column;
  subgroupMatrixStore(&results, mine, c00, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top, start);
  subgroupMatrixStore(&results, mine, c01, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top, start + MATRIX_N);
  subgroupMatrixStore(&results, mine, c10, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top + MATRIX_M, start);
  subgroupMatrixStore(&results, mine, c11, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top + MATRIX_M, start + MATRIX_N);
  subgroupMatrixStore(&results, mine, c20, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top + 2u * MATRIX_M, start);
  subgroupMatrixStore(&results, mine, c21, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top + 2u * MATRIX_M, start + MATRIX_N);
  subgroupMatrixStore(&results, mine, c30, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top + 3u * MATRIX_M, start);
  subgroupMatrixStore(&results, mine, c31, false, MATRIX_N);
  finishMatrix(tile, mine, lane, top + 3u * MATRIX_M, start + MATRIX_N);

  if (HAS_SUMS) {
    // Those who brought the same rows add up, in the order of their terms; `results` has room for a tile's rows of f32
    // from every block of four terms.
    if (id < BLOCKS_A) {
      let to = termA / 4u * ROWS + quadA;
      results[to] = sums.x;
      results[to + 1u] = sums.y;
      results[to + 2u] = sums.z;
      results[to + 3u] = sums.w;
    }
    workgroupBarrier();
    if (id < ROWS / 4u) {
      var whole = vec4f();
      for (var d = 0u; d < DEPTH / 4u; d++) {
        let at = d * ROWS + 4u * id;
        whole += vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
      }
      finishSums(tile, tile.row + 4u * id, whole);
    }
  }
}

// Epilogue and store of the matrix of results that this subgroup has at `mine`.
fn finishMatrix(tile: Tile, mine: u32, lane: u32, row: u32, column: u32) {
  workgroupBarrier();
  for (var i = 4u * lane; i < CELLS; i += 4u * LANES) {
    let at = mine + i;
    let sum = vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
    finish(tile, row + i / MATRIX_N, column + i % MATRIX_N, sum);
  }
  workgroupBarrier();
}
