// The two products that attention is made of, on a tile of ROWS rows by 4 LANES columns that one group of lanes holds
// in registers: each lane has ROWS x one vec4 of columns. A kernel supplies `loadRow(which, at)` and
// `loadColumn(which, at)`, which read the quad (vec4) at index `at` of its operand number `which`.
// Loops over ROWS, SLOTS and STAGED have constant bounds equal to the arrays' lengths, so that compilers unroll them
// and keep the arrays in registers; 8 rows were the fastest of 6 to 16 on llvmpipe that still compile in under a second.

const ROWS = 8u;
// Quads of a head, and how many of them a lane owns.
const QUADS = HEAD / 4u;
const SLOTS = (QUADS + LANES - 1u) / LANES;
// Below any score. Finite, because WGSL lets compilers assume that there are no infinities.
const LOWEST = -1e30f;

// One head of a row-major tensor: the index of its first quad, quads from one token to the next, and tokens.
struct Operand {
  base: u32,
  stride: u32,
  count: u32,
}

fn tokenAt(operand: Operand, token: u32) -> u32 {
  return operand.base + min(token, operand.count - 1u) * operand.stride;
}

fn rowStep(sum: vec4f, a: vec4f, b: array<vec4f, 4>) -> vec4f {
  return fma(vec4f(a.w), b[3], fma(vec4f(a.z), b[2], fma(vec4f(a.y), b[1], fma(vec4f(a.x), b[0], sum))));
}

// scale * (rows from row0) (columns from column0)ᵀ, summed over the head; lanes hold columns column0 + 4 lane + 0 to 3.
// Rows and columns past the end repeat the last one.
fn scores(
  which: u32, rows: Operand, row0: u32, columns: Operand, column0: u32, scale: f32, lane: u32,
) -> array<vec4f, ROWS> {
  let first = column0 + 4u * lane;
  let at = vec4u(
    tokenAt(columns, first),
    tokenAt(columns, first + 1u),
    tokenAt(columns, first + 2u),
    tokenAt(columns, first + 3u),
  );
  var rowsAt: array<u32, STAGED>;
  for (var i = 0u; i < STAGED; i++) {
    rowsAt[i] = tokenAt(rows, row0 + stagedRow(i, lane));
  }
  var sums: array<vec4f, ROWS>;
  for (var d = 0u; d < QUADS; d++) {
    let c0 = loadColumn(which, at.x + d);
    let c1 = loadColumn(which, at.y + d);
    let c2 = loadColumn(which, at.z + d);
    let c3 = loadColumn(which, at.w + d);
    let transposed = array(
      vec4f(c0.x, c1.x, c2.x, c3.x),
      vec4f(c0.y, c1.y, c2.y, c3.y),
      vec4f(c0.z, c1.z, c2.z, c3.z),
      vec4f(c0.w, c1.w, c2.w, c3.w),
    );
    var staged: array<vec4f, STAGED>;
    for (var i = 0u; i < STAGED; i++) {
      staged[i] = scale * loadRow(which, rowsAt[i] + d);
    }
    for (var i = 0u; i < ROWS; i++) {
      sums[i] = rowStep(sums[i], spreadRow(&staged, i), transposed);
    }
  }
  return sums;
}

// sums += weights (columns from column0): `weights` is a tile as `scores` gives it, and lane n owns the quads
// n, n + LANES, ... of each row of `sums`.
fn addProduct(
  sums: ptr<function, array<array<vec4f, SLOTS>, ROWS>>,
  weights: ptr<function, array<vec4f, ROWS>>,
  which: u32, columns: Operand, column0: u32, lane: u32,
) {
  publish(weights, lane);
  let owners = min(LANES, (columns.count - column0 + 3u) / 4u);
  for (var owner = 0u; owner < owners; owner++) {
    let first = column0 + 4u * owner;
    var values: array<array<vec4f, 4>, SLOTS>;
    for (var slot = 0u; slot < SLOTS; slot++) {
      let quad = min(slot * LANES + lane, QUADS - 1u);
      for (var j = 0u; j < 4u; j++) {
        values[slot][j] = loadColumn(which, tokenAt(columns, first + j) + quad);
      }
    }
    for (var i = 0u; i < ROWS; i++) {
      let weight = valueOf(weights, i, owner);
      for (var slot = 0u; slot < SLOTS; slot++) {
        (*sums)[i][slot] = rowStep((*sums)[i][slot], weight, values[slot]);
      }
    }
  }
}

// The factor that dropout gives four probabilities of these indices: 0, or 1 / (1 - probability).
fn dropoutFactor(index: vec4u) -> vec4f {
  let drawn = vec4f(
    uniformAt(params.key, params.stream, index.x),
    uniformAt(params.key, params.stream, index.y),
    uniformAt(params.key, params.stream, index.z),
    uniformAt(params.key, params.stream, index.w),
  );
  return select(vec4f(0.0), vec4f(params.keptScale), drawn >= vec4f(params.probability));
}

// Which of four keys batch row b attends to.
fn attended(b: u32, key: vec4u) -> vec4<bool> {
  let inside = key < vec4u(params.keys);
  if (params.hasMask != 0u) {
    let at = b * params.keys + min(key, vec4u(params.keys - 1u));
    return inside & (vec4u(mask[at.x], mask[at.y], mask[at.z], mask[at.w]) != vec4u(0u));
  }
  return inside;
}
