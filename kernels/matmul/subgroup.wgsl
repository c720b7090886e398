// Matrix product by one subgroup per tile of ROWS rows by 4 LANES columns, without shared memory. Each lane keeps ROWS
// rows of one quad of columns in registers; the rows of `a` that a step of four terms needs are loaded once, spread
// over the lanes, and handed round by subgroupBroadcast (`rowSteps`, written by variants.ts, as the lane of a broadcast
// has to be a constant). What this is worth on llvmpipe, where every load is one scalar load per lane and component and
// arithmetic is nearly free, is in webgpu.md and in docs/kernels-log.md. Constants: see product.wgsl.

// Where a row of the tile lies: `a` stored [m, k] is loaded row by row; stored [k, m], four rows at a time.
const QUADS = ROWS / 4u;
const SLOTS = select((ROWS + LANES - 1u) / LANES, (QUADS + LANES - 1u) / LANES * 4u, TRANS_A);

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let tile = place(wg, ROWS, 4u * LANES);
  if (tile.none) {
    return;
  }
  let column = tile.column + 4u * lane;
  var acc = array<vec4f, ROWS>();
  var staged = array<vec4f, SLOTS>();
  var sums = array<vec4f, SLOTS>();
  for (var k = tile.begin; k < tile.end; k += 4u) {
    if (TRANS_A) {
      for (var s = 0u; s < SLOTS; s += 4u) {
        let block = blockOfA(tile, tile.row + 4u * min(s / 4u * LANES + lane, QUADS - 1u), k);
        if (HAS_SUMS) {
          sums[s] += block[0] + block[1] + block[2] + block[3];
        }
        let rows = transposed(block);
        staged[s] = rows[0];
        staged[s + 1u] = rows[1];
        staged[s + 2u] = rows[2];
        staged[s + 3u] = rows[3];
      }
    } else {
      for (var s = 0u; s < SLOTS; s++) {
        staged[s] = termsOfA(tile, tile.row + min(s * LANES + lane, ROWS - 1u), k);
      }
    }
    let block = blockOfB(tile, column, k);
    rowSteps(&acc, &staged, block);
  }
  // A loop over a copy, of a length that the compiler can't know: unrolled, epilogues would be most of the kernel, and
  // take longest to compile.
  var results = acc;
  for (var i = 0u; i < min(ROWS, params.m - tile.row); i++) {
    finish(tile, tile.row + i, column, results[i]);
  }
  if (HAS_SUMS) {
    for (var s = 0u; s < SLOTS; s += 4u) {
      let quad = s / 4u * LANES + lane;
      if (quad < QUADS) {
        finishSums(tile, tile.row + 4u * quad, sums[s]);
      }
    }
  }
}

fn rowStep(sum: vec4f, terms: vec4f, block: array<vec4f, 4>) -> vec4f {
  return fma(
    vec4f(terms.w),
    block[3],
    fma(vec4f(terms.z), block[2], fma(vec4f(terms.y), block[1], fma(vec4f(terms.x), block[0], sum))),
  );
}
