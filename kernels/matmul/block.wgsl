// Matrix product by blocks through shared memory, for any adapter and any sizes: SIDE x SIDE invocations work on a tile
// of 4 SIDE x 4 SIDE results, or with BIG 8 SIDE x 8 SIDE, in blocks of 4 x 4 each (the classic blocking; see Volkov and
// Demmel, "Benchmarking GPUs to tune dense linear algebra", 2008). One half of the invocations brings `a`, the other
// `b`, a block of 4 x 4 each, turned on the way so that shared memory always has quads of rows and of columns; the next
// step's blocks are on their way while this step's are used. Strides are padded by one quad against bank conflicts.
// Constants: SIDE, BIG, and see product.wgsl.

const THREADS = SIDE * SIDE;
const QUADS = SIDE * select(1u, 2u, BIG);
// Terms of a step: as many as the invocations can bring.
const DEPTH = 2u * THREADS / QUADS;
const STRIDE = QUADS + 1u;

// The step's quads of `a`, then those of `b`.
const START_B = DEPTH * STRIDE;
var<workgroup> tiles: array<vec4f, 2u * START_B>;

// Which of the blocks of a step an invocation brings: quad of rows or columns, and first term. Neighbours read
// neighbouring addresses, whichever way the operand is stored.
fn blockAt(i: u32, alongTerms: bool) -> vec2u {
  return select(vec2u(i % QUADS, i / QUADS), vec2u(i / (DEPTH / 4u), i % (DEPTH / 4u)), alongTerms) * 4u;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let tile = place(wg, 4u * QUADS, 4u * QUADS);
  if (tile.none) {
    return;
  }
  let bringsA = id < THREADS / 2u;
  let at = select(blockAt(id - THREADS / 2u, TRANS_B), blockAt(id, !TRANS_A), bringsA);
  let ty = id / SIDE;
  let tx = id % SIDE;
  var block = fetch(tile, bringsA, at, tile.begin);
  var sums = vec4f();
  var topLeft = array<vec4f, 4>();
  var topRight = array<vec4f, 4>();
  var bottomLeft = array<vec4f, 4>();
  var bottomRight = array<vec4f, 4>();
  for (var k = tile.begin; k < tile.end; k += DEPTH) {
    let to = select(START_B, 0u, bringsA) + at.y * STRIDE + at.x / 4u;
    sums += block[0] + block[1] + block[2] + block[3];
    tiles[to] = block[0];
    tiles[to + STRIDE] = block[1];
    tiles[to + 2u * STRIDE] = block[2];
    tiles[to + 3u * STRIDE] = block[3];
    workgroupBarrier();
    block = fetch(tile, bringsA, at, k + DEPTH);
    for (var d = 0u; d < DEPTH; d++) {
      let top = tiles[d * STRIDE + ty];
      let left = tiles[START_B + d * STRIDE + tx];
      step(&topLeft, top, left);
      if (BIG) {
        let bottom = tiles[d * STRIDE + SIDE + ty];
        let right = tiles[START_B + d * STRIDE + SIDE + tx];
        step(&topRight, top, right);
        step(&bottomLeft, bottom, left);
        step(&bottomRight, bottom, right);
      }
    }
    workgroupBarrier();
  }
  let row = tile.row + 4u * ty;
  let column = tile.column + 4u * tx;
  finishBlock(tile, row, column, topLeft);
  if (BIG) {
    finishBlock(tile, row, column + 4u * SIDE, topRight);
    finishBlock(tile, row + 4u * SIDE, column, bottomLeft);
    finishBlock(tile, row + 4u * SIDE, column + 4u * SIDE, bottomRight);
  }
  if (HAS_SUMS) {
    // Those who brought the same rows add up, in the order of their terms.
    if (bringsA) {
      tiles[at.y / 4u * STRIDE + at.x / 4u] = sums;
    }
    workgroupBarrier();
    if (id < QUADS) {
      var whole = tiles[id];
      for (var d = 1u; d < DEPTH / 4u; d++) {
        whole += tiles[d * STRIDE + id];
      }
      finishSums(tile, tile.row + 4u * id, whole);
    }
  }
}

// A block of 4 x 4 of one operand for the step that starts at `k`, zeros beyond the split's last term.
fn fetch(tile: Tile, ofA: bool, at: vec2u, k: u32) -> array<vec4f, 4> {
  let term = k + at.y;
  if (term >= tile.end) {
    return array<vec4f, 4>();
  }
  if (ofA) {
    return blockOfA(tile, tile.row + at.x, term);
  }
  return blockOfB(tile, tile.column + at.x, term);
}

fn step(sum: ptr<function, array<vec4f, 4>>, a: vec4f, b: vec4f) {
  (*sum)[0] = fma(vec4f(a.x), b, (*sum)[0]);
  (*sum)[1] = fma(vec4f(a.y), b, (*sum)[1]);
  (*sum)[2] = fma(vec4f(a.z), b, (*sum)[2]);
  (*sum)[3] = fma(vec4f(a.w), b, (*sum)[3]);
}

// A loop over a copy, of a length that the compiler can't know: unrolled, epilogues would be most of the kernel.
fn finishBlock(tile: Tile, row: u32, column: u32, sums: array<vec4f, 4>) {
  var results = sums;
  for (var i = 0u; i < 4u && row + i < params.m; i++) {
    finish(tile, row + i, column, results[i]);
  }
}
