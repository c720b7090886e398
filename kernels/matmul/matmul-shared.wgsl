// Matrix product y = op(a) op(b) with an epilogue, for any sizes and any adapter: tiles of 32 x 32 by 64 invocations
// of 4 x 4 results each, operands staged through shared memory (the classic blocking; strides padded by one against
// bank conflicts). Host side: matmul.ts. Constants: TRANS_A, TRANS_B, HAS_BIAS, HAS_RESIDUAL, GELU.

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

@group(0) @binding(0) var<storage, read> a: array<Scalar>;
@group(0) @binding(1) var<storage, read> b: array<Scalar>;
@group(0) @binding(2) var<storage, read> bias: array<Scalar>;
@group(0) @binding(3) var<storage, read> residual: array<Scalar>;
@group(0) @binding(4) var<storage, read_write> y: array<Scalar>;
@group(1) @binding(0) var<uniform> params: Params;

const TILE = 32u;
const DEPTH = 16u;
const STRIDE = TILE + 1u;

var<workgroup> tileA: array<f32, DEPTH * STRIDE>;
var<workgroup> tileB: array<f32, DEPTH * STRIDE>;

fn loadA(base: u32, row: u32, k: u32) -> f32 {
  if (row >= params.m || k >= params.k) {
    return 0.0;
  }
  return f32(a[base + select(row * params.k + k, k * params.m + row, TRANS_A)]);
}

fn loadB(base: u32, k: u32, column: u32) -> f32 {
  if (column >= params.n || k >= params.k) {
    return 0.0;
  }
  return f32(b[base + select(k * params.n + column, column * params.k + k, TRANS_B)]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let tile = wg.y * GRID_X + wg.x;
  if (tile >= params.tiles) {
    return;
  }
  let row0 = tile / params.tilesN * TILE;
  let column0 = tile % params.tilesN * TILE;
  let baseA = wg.z * params.strideA;
  let baseB = wg.z * params.strideB;
  let ty = id / 8u * 4u;
  let tx = id % 8u * 4u;

  var acc: array<vec4f, 4>;
  for (var k0 = 0u; k0 < params.k; k0 += DEPTH) {
    for (var i = id; i < TILE * DEPTH; i += 64u) {
      // Neighbouring invocations read neighbouring addresses, whichever way the operand is stored.
      let alongA = select(vec2u(i / DEPTH, i % DEPTH), vec2u(i % TILE, i / TILE), TRANS_A);
      tileA[alongA.y * STRIDE + alongA.x] = loadA(baseA, row0 + alongA.x, k0 + alongA.y);
      let alongB = select(vec2u(i % TILE, i / TILE), vec2u(i / DEPTH, i % DEPTH), TRANS_B);
      tileB[alongB.y * STRIDE + alongB.x] = loadB(baseB, k0 + alongB.y, column0 + alongB.x);
    }
    workgroupBarrier();
    for (var k = 0u; k < DEPTH; k++) {
      let at = k * STRIDE;
      let bv = vec4f(tileB[at + tx], tileB[at + tx + 1u], tileB[at + tx + 2u], tileB[at + tx + 3u]);
      for (var i = 0u; i < 4u; i++) {
        acc[i] = fma(vec4f(tileA[at + ty + i]), bv, acc[i]);
      }
    }
    workgroupBarrier();
  }

  let base = wg.z * params.m * params.n;
  for (var i = 0u; i < 4u; i++) {
    let row = row0 + ty + i;
    for (var j = 0u; j < 4u; j++) {
      let column = column0 + tx + j;
      if (row < params.m && column < params.n) {
        finish(base + row * params.n + column, column, acc[i][j]);
      }
    }
  }
}

fn finish(at: u32, column: u32, sum: f32) {
  var value = sum * params.scale;
  if (HAS_BIAS) {
    value += f32(bias[column]);
  }
  if (GELU) {
    if (params.preOffset > 0u) {
      y[params.preOffset + at] = Scalar(value);
    }
    value = gelu(value);
  }
  if (HAS_RESIDUAL) {
    value += f32(residual[at]);
  }
  y[at] = Scalar(value);
}
