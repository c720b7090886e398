// Matrix product y = op(a) op(b) with an epilogue, by one subgroup per tile of 16 rows x 4 LANES columns, without
// shared memory. Each lane keeps 16 rows of one vec4 of columns in registers; the 16 vec4s of `a` that a step of 4
// along k needs are loaded once, 16 / LANES per lane, and spread by subgroupBroadcast. The idea and its measurements
// on llvmpipe are in webgpu.md; host side: matmul.ts.
// Constants: TRANS_A (a is stored [k, m]), TRANS_B (b is stored [n, k]), HAS_BIAS, HAS_RESIDUAL, GELU.
// The contiguous extent of a, b and y is a multiple of 4.

struct Params {
  m: u32,
  n: u32,
  k: u32,
  // Elements between the matrices of a batch; 0 shares one matrix.
  strideA: u32,
  strideB: u32,
  // Where the values before GELU go, in elements from y; 0: nowhere.
  preOffset: u32,
  tilesN: u32,
  tiles: u32,
  scale: f32,
}

@group(0) @binding(0) var<storage, read> a: array<Vec>;
@group(0) @binding(1) var<storage, read> b: array<Vec>;
@group(0) @binding(2) var<storage, read> bias: array<Vec>;
@group(0) @binding(3) var<storage, read> residual: array<Vec>;
@group(0) @binding(4) var<storage, read_write> y: array<Vec>;
@group(1) @binding(0) var<uniform> params: Params;

const SLOTS = (16u + LANES - 1u) / LANES;

fn rowStep(sum: vec4f, a: vec4f, b: array<vec4f, 4>) -> vec4f {
  return fma(vec4f(a.w), b[3], fma(vec4f(a.z), b[2], fma(vec4f(a.y), b[1], fma(vec4f(a.x), b[0], sum))));
}

// The index-th of the 16 vec4s of `a` for the step that starts at `k`.
fn loadA(base: u32, row: u32, k: u32, index: u32) -> vec4f {
  if (TRANS_A) {
    let kk = k + index / 4u;
    let quad = min(row / 4u + index % 4u, params.m / 4u - 1u);
    let value = vec4f(a[base + min(kk, params.k - 1u) * (params.m / 4u) + quad]);
    return select(vec4f(0.0), value, kk < params.k);
  }
  return vec4f(a[base + min(row + index, params.m - 1u) * (params.k / 4u) + k / 4u]);
}

fn loadB(base: u32, column: u32, k: u32) -> array<vec4f, 4> {
  if (TRANS_B) {
    let stride = params.k / 4u;
    let at = base + column * 4u * stride + k / 4u;
    let c0 = vec4f(b[at]);
    let c1 = vec4f(b[at + stride]);
    let c2 = vec4f(b[at + 2u * stride]);
    let c3 = vec4f(b[at + 3u * stride]);
    return array(
      vec4f(c0.x, c1.x, c2.x, c3.x),
      vec4f(c0.y, c1.y, c2.y, c3.y),
      vec4f(c0.z, c1.z, c2.z, c3.z),
      vec4f(c0.w, c1.w, c2.w, c3.w),
    );
  }
  let stride = params.n / 4u;
  let last = params.k - 1u;
  return array(
    vec4f(b[base + min(k, last) * stride + column]),
    vec4f(b[base + min(k + 1u, last) * stride + column]),
    vec4f(b[base + min(k + 2u, last) * stride + column]),
    vec4f(b[base + min(k + 3u, last) * stride + column]),
  );
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let tile = wg.y * GRID_X + wg.x;
  if (tile >= params.tiles) {
    return;
  }
  let row = tile / params.tilesN * 16u;
  let wanted = tile % params.tilesN * LANES + lane;
  let columns = params.n / 4u;
  let column = min(wanted, columns - 1u);
  let baseA = wg.z * params.strideA / 4u;
  let baseB = wg.z * params.strideB / 4u;
  let slot = min(lane, 15u);

  var acc: array<vec4f, 16>;
  for (var k = 0u; k < params.k; k += 4u) {
    var staged: array<vec4f, SLOTS>;
    for (var i = 0u; i < SLOTS; i++) {
      staged[i] = loadA(baseA, row, k, i * LANES + slot);
    }
    let b = loadB(baseB, column, k);
    if (TRANS_A) {
      var s: vec4f;
      s = subgroupBroadcast(staged[0u / LANES], 0u % LANES);
      acc[0] = fma(vec4f(s.x), b[0], acc[0]);
      acc[1] = fma(vec4f(s.y), b[0], acc[1]);
      acc[2] = fma(vec4f(s.z), b[0], acc[2]);
      acc[3] = fma(vec4f(s.w), b[0], acc[3]);
      s = subgroupBroadcast(staged[1u / LANES], 1u % LANES);
      acc[4] = fma(vec4f(s.x), b[0], acc[4]);
      acc[5] = fma(vec4f(s.y), b[0], acc[5]);
      acc[6] = fma(vec4f(s.z), b[0], acc[6]);
      acc[7] = fma(vec4f(s.w), b[0], acc[7]);
      s = subgroupBroadcast(staged[2u / LANES], 2u % LANES);
      acc[8] = fma(vec4f(s.x), b[0], acc[8]);
      acc[9] = fma(vec4f(s.y), b[0], acc[9]);
      acc[10] = fma(vec4f(s.z), b[0], acc[10]);
      acc[11] = fma(vec4f(s.w), b[0], acc[11]);
      s = subgroupBroadcast(staged[3u / LANES], 3u % LANES);
      acc[12] = fma(vec4f(s.x), b[0], acc[12]);
      acc[13] = fma(vec4f(s.y), b[0], acc[13]);
      acc[14] = fma(vec4f(s.z), b[0], acc[14]);
      acc[15] = fma(vec4f(s.w), b[0], acc[15]);
      s = subgroupBroadcast(staged[4u / LANES], 4u % LANES);
      acc[0] = fma(vec4f(s.x), b[1], acc[0]);
      acc[1] = fma(vec4f(s.y), b[1], acc[1]);
      acc[2] = fma(vec4f(s.z), b[1], acc[2]);
      acc[3] = fma(vec4f(s.w), b[1], acc[3]);
      s = subgroupBroadcast(staged[5u / LANES], 5u % LANES);
      acc[4] = fma(vec4f(s.x), b[1], acc[4]);
      acc[5] = fma(vec4f(s.y), b[1], acc[5]);
      acc[6] = fma(vec4f(s.z), b[1], acc[6]);
      acc[7] = fma(vec4f(s.w), b[1], acc[7]);
      s = subgroupBroadcast(staged[6u / LANES], 6u % LANES);
      acc[8] = fma(vec4f(s.x), b[1], acc[8]);
      acc[9] = fma(vec4f(s.y), b[1], acc[9]);
      acc[10] = fma(vec4f(s.z), b[1], acc[10]);
      acc[11] = fma(vec4f(s.w), b[1], acc[11]);
      s = subgroupBroadcast(staged[7u / LANES], 7u % LANES);
      acc[12] = fma(vec4f(s.x), b[1], acc[12]);
      acc[13] = fma(vec4f(s.y), b[1], acc[13]);
      acc[14] = fma(vec4f(s.z), b[1], acc[14]);
      acc[15] = fma(vec4f(s.w), b[1], acc[15]);
      s = subgroupBroadcast(staged[8u / LANES], 8u % LANES);
      acc[0] = fma(vec4f(s.x), b[2], acc[0]);
      acc[1] = fma(vec4f(s.y), b[2], acc[1]);
      acc[2] = fma(vec4f(s.z), b[2], acc[2]);
      acc[3] = fma(vec4f(s.w), b[2], acc[3]);
      s = subgroupBroadcast(staged[9u / LANES], 9u % LANES);
      acc[4] = fma(vec4f(s.x), b[2], acc[4]);
      acc[5] = fma(vec4f(s.y), b[2], acc[5]);
      acc[6] = fma(vec4f(s.z), b[2], acc[6]);
      acc[7] = fma(vec4f(s.w), b[2], acc[7]);
      s = subgroupBroadcast(staged[10u / LANES], 10u % LANES);
      acc[8] = fma(vec4f(s.x), b[2], acc[8]);
      acc[9] = fma(vec4f(s.y), b[2], acc[9]);
      acc[10] = fma(vec4f(s.z), b[2], acc[10]);
      acc[11] = fma(vec4f(s.w), b[2], acc[11]);
      s = subgroupBroadcast(staged[11u / LANES], 11u % LANES);
      acc[12] = fma(vec4f(s.x), b[2], acc[12]);
      acc[13] = fma(vec4f(s.y), b[2], acc[13]);
      acc[14] = fma(vec4f(s.z), b[2], acc[14]);
      acc[15] = fma(vec4f(s.w), b[2], acc[15]);
      s = subgroupBroadcast(staged[12u / LANES], 12u % LANES);
      acc[0] = fma(vec4f(s.x), b[3], acc[0]);
      acc[1] = fma(vec4f(s.y), b[3], acc[1]);
      acc[2] = fma(vec4f(s.z), b[3], acc[2]);
      acc[3] = fma(vec4f(s.w), b[3], acc[3]);
      s = subgroupBroadcast(staged[13u / LANES], 13u % LANES);
      acc[4] = fma(vec4f(s.x), b[3], acc[4]);
      acc[5] = fma(vec4f(s.y), b[3], acc[5]);
      acc[6] = fma(vec4f(s.z), b[3], acc[6]);
      acc[7] = fma(vec4f(s.w), b[3], acc[7]);
      s = subgroupBroadcast(staged[14u / LANES], 14u % LANES);
      acc[8] = fma(vec4f(s.x), b[3], acc[8]);
      acc[9] = fma(vec4f(s.y), b[3], acc[9]);
      acc[10] = fma(vec4f(s.z), b[3], acc[10]);
      acc[11] = fma(vec4f(s.w), b[3], acc[11]);
      s = subgroupBroadcast(staged[15u / LANES], 15u % LANES);
      acc[12] = fma(vec4f(s.x), b[3], acc[12]);
      acc[13] = fma(vec4f(s.y), b[3], acc[13]);
      acc[14] = fma(vec4f(s.z), b[3], acc[14]);
      acc[15] = fma(vec4f(s.w), b[3], acc[15]);
    } else {
      acc[0] = rowStep(acc[0], subgroupBroadcast(staged[0u / LANES], 0u % LANES), b);
      acc[1] = rowStep(acc[1], subgroupBroadcast(staged[1u / LANES], 1u % LANES), b);
      acc[2] = rowStep(acc[2], subgroupBroadcast(staged[2u / LANES], 2u % LANES), b);
      acc[3] = rowStep(acc[3], subgroupBroadcast(staged[3u / LANES], 3u % LANES), b);
      acc[4] = rowStep(acc[4], subgroupBroadcast(staged[4u / LANES], 4u % LANES), b);
      acc[5] = rowStep(acc[5], subgroupBroadcast(staged[5u / LANES], 5u % LANES), b);
      acc[6] = rowStep(acc[6], subgroupBroadcast(staged[6u / LANES], 6u % LANES), b);
      acc[7] = rowStep(acc[7], subgroupBroadcast(staged[7u / LANES], 7u % LANES), b);
      acc[8] = rowStep(acc[8], subgroupBroadcast(staged[8u / LANES], 8u % LANES), b);
      acc[9] = rowStep(acc[9], subgroupBroadcast(staged[9u / LANES], 9u % LANES), b);
      acc[10] = rowStep(acc[10], subgroupBroadcast(staged[10u / LANES], 10u % LANES), b);
      acc[11] = rowStep(acc[11], subgroupBroadcast(staged[11u / LANES], 11u % LANES), b);
      acc[12] = rowStep(acc[12], subgroupBroadcast(staged[12u / LANES], 12u % LANES), b);
      acc[13] = rowStep(acc[13], subgroupBroadcast(staged[13u / LANES], 13u % LANES), b);
      acc[14] = rowStep(acc[14], subgroupBroadcast(staged[14u / LANES], 14u % LANES), b);
      acc[15] = rowStep(acc[15], subgroupBroadcast(staged[15u / LANES], 15u % LANES), b);
    }
  }

  if (wanted >= columns) {
    return;
  }
  let base = wg.z * params.m * columns;
  for (var i = 0u; i < 16u; i++) {
    if (row + i < params.m) {
      finish(base + (row + i) * columns + column, column, acc[i]);
    }
  }
}

fn finish(at: u32, column: u32, sum: vec4f) {
  var value = sum * params.scale;
  if (HAS_BIAS) {
    value += vec4f(bias[column]);
  }
  if (GELU) {
    if (params.preOffset > 0u) {
      y[params.preOffset / 4u + at] = Vec(value);
    }
    value = vec4f(gelu(value.x), gelu(value.y), gelu(value.z), gelu(value.w));
  }
  if (HAS_RESIDUAL) {
    value += vec4f(residual[at]);
  }
  y[at] = Vec(value);
}
