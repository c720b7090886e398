// Matrix product of f16 operands on an adapter's matrix units (tensor cores), with sums in f32: the f16 accumulator
// overflows on real models. 2 x 4 subgroups work on a tile of 8 x 8 matrices of MATRIX_M x MATRIX_N results, each on
// 4 x 2 of them; operands go through shared memory, 32 terms a step, in blocks as product.wgsl has them. Results pass through
// shared memory for the epilogue.
// Constants: MATRIX_M, MATRIX_N, MATRIX_K, and see product.wgsl.

const THREADS = 8u * LANES;
const ROWS = 8u * MATRIX_M;
const COLUMNS = 8u * MATRIX_N;
const DEPTH = 32u;
// Blocks of 4 x 4 that a step needs of each operand, and those of `a` that one invocation brings.
const BLOCKS_A = ROWS * DEPTH / 16u;
const BLOCKS_B = COLUMNS * DEPTH / 16u;
const TURNS_A = (BLOCKS_A + THREADS - 1u) / THREADS;
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
var<workgroup> numbered: atomic<u32>;

@compute @workgroup_size(THREADS) @diagnostic(off, chromium.subgroup_matrix_uniformity)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32,
  @builtin(subgroup_invocation_id) lane: u32) {
  let tile = place(wg, ROWS, COLUMNS);
  if (tile.none) {
    return;
  }
  let subgroup = subgroupNumber();
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
  var sums = array<vec4f, TURNS_A>();
  for (var k = tile.begin; k < tile.end; k += DEPTH) {
    for (var i = id; i < BLOCKS_A; i += THREADS) {
      let quadA = i % (ROWS / 4u) * 4u;
      let termA = i / (ROWS / 4u) * 4u;
      var block = array<vec4f, 4>();
      if (k + termA < tile.end) {
        block = blockOfA(tile, tile.row + quadA, k + termA);
      }
      if (HAS_SUMS) {
        sums[i / THREADS] += block[0] + block[1] + block[2] + block[3];
      }
      for (var j = 0u; j < 4u; j++) {
        let to = (termA + j) * STRIDE_A + quadA;
        for (var c = 0u; c < 4u; c++) {
          tileA[to + c] = f16(block[j][c]);
        }
      }
    }
    for (var i = id; i < BLOCKS_B; i += THREADS) {
      let quadB = i % (COLUMNS / 4u) * 4u;
      let termB = i / (COLUMNS / 4u) * 4u;
      var block = array<vec4f, 4>();
      if (k + termB < tile.end) {
        block = blockOfB(tile, tile.column + quadB, k + termB);
      }
      for (var j = 0u; j < 4u; j++) {
        let to = (termB + j) * STRIDE_B + quadB;
        for (var c = 0u; c < 4u; c++) {
          tileB[to + c] = f16(block[j][c]);
        }
      }
    }
    workgroupBarrier();
    for (var d = 0u; d < DEPTH; d += MATRIX_K) {
      let fromA = d * STRIDE_A + row;
      let fromB = d * STRIDE_B + column;
      let b0 = loadRight(fromB);
      let b1 = loadRight(fromB + MATRIX_N);
      let a0 = loadLeft(fromA);
      c00 = subgroupMatrixMultiplyAccumulate(a0, b0, c00);
      c01 = subgroupMatrixMultiplyAccumulate(a0, b1, c01);
      let a1 = loadLeft(fromA + MATRIX_M);
      c10 = subgroupMatrixMultiplyAccumulate(a1, b0, c10);
      c11 = subgroupMatrixMultiplyAccumulate(a1, b1, c11);
      let a2 = loadLeft(fromA + 2u * MATRIX_M);
      c20 = subgroupMatrixMultiplyAccumulate(a2, b0, c20);
      c21 = subgroupMatrixMultiplyAccumulate(a2, b1, c21);
      let a3 = loadLeft(fromA + 3u * MATRIX_M);
      c30 = subgroupMatrixMultiplyAccumulate(a3, b0, c30);
      c31 = subgroupMatrixMultiplyAccumulate(a3, b1, c31);
    }
    workgroupBarrier();
  }

  let mine = subgroup * CELLS;
  let top = tile.row + row;
  let start = tile.column + column;
  finishMatrix(tile, c00, mine, lane, top, start);
  finishMatrix(tile, c01, mine, lane, top, start + MATRIX_N);
  finishMatrix(tile, c10, mine, lane, top + MATRIX_M, start);
  finishMatrix(tile, c11, mine, lane, top + MATRIX_M, start + MATRIX_N);
  finishMatrix(tile, c20, mine, lane, top + 2u * MATRIX_M, start);
  finishMatrix(tile, c21, mine, lane, top + 2u * MATRIX_M, start + MATRIX_N);
  finishMatrix(tile, c30, mine, lane, top + 3u * MATRIX_M, start);
  finishMatrix(tile, c31, mine, lane, top + 3u * MATRIX_M, start + MATRIX_N);

  if (HAS_SUMS) {
    // Those who brought the same rows add up, in the order of their terms; `results` has room for a tile's rows of f32
    // from every block of four terms.
    for (var i = id; i < BLOCKS_A; i += THREADS) {
      let sum = sums[i / THREADS];
      results[4u * i] = sum.x;
      results[4u * i + 1u] = sum.y;
      results[4u * i + 2u] = sum.z;
      results[4u * i + 3u] = sum.w;
    }
    workgroupBarrier();
    for (var i = id; i < ROWS / 4u; i += THREADS) {
      var whole = vec4f();
      for (var d = 0u; d < DEPTH / 4u; d++) {
        let at = d * ROWS + 4u * i;
        whole += vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
      }
      finishSums(tile, tile.row + 4u * i, whole);
    }
  }
}

// Which of the workgroup's subgroups this is: WGSL promises no order among invocations, so they count themselves.
fn subgroupNumber() -> u32 {
  var number = 0u;
  if (subgroupElect()) {
    number = atomicAdd(&numbered, 1u);
  }
  return subgroupBroadcastFirst(number);
}

// What the draft of subgroup matrices may yet spell in another way.

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn loadLeft(at: u32) -> Left {
  return subgroupMatrixLoad<Left>(&tileA, at, true, STRIDE_A);
}

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn loadRight(at: u32) -> Right {
  return subgroupMatrixLoad<Right>(&tileB, at, false, STRIDE_B);
}

// Epilogue and store of a matrix of results, which passes through this subgroup's place in shared memory, `mine`.
@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn finishMatrix(tile: Tile, matrix: Result, mine: u32, lane: u32, row: u32, column: u32) {
  subgroupMatrixStore(&results, mine, matrix, false, MATRIX_N);
  workgroupBarrier();
  for (var i = 4u * lane; i < CELLS; i += 4u * LANES) {
    let at = mine + i;
    let sum = vec4f(results[at], results[at + 1u], results[at + 2u], results[at + 3u]);
    finish(tile, row + i / MATRIX_N, column + i % MATRIX_N, sum);
  }
  workgroupBarrier();
}
