// Blocks of 4 x 4 of the operands, for the variants without matrix units. `loadA` and `loadB` are written by variants.ts.

fn transposed(block: array<vec4f, 4>) -> array<vec4f, 4> {
  return array(
    vec4f(block[0].x, block[1].x, block[2].x, block[3].x),
    vec4f(block[0].y, block[1].y, block[2].y, block[3].y),
    vec4f(block[0].z, block[1].z, block[2].z, block[3].z),
    vec4f(block[0].w, block[1].w, block[2].w, block[3].w),
  );
}

// Loads beyond the last row or column give some numbers, which no result that is stored depends on. Terms beyond the
// last are zeros in `a`; in `b` they repeat the last term or are zeros.

// Four terms from `k` on of a row of `a` that is stored [m, k].
fn termsOfA(tile: Tile, row: u32, k: u32) -> vec4f {
  return loadA(tile.a + min(row, params.m - 1u) * params.k + k, params.k - k);
}

// Term `k` of four rows of `a` that is stored [k, m].
fn rowsOfA(tile: Tile, row: u32, k: u32) -> vec4f {
  let quad = min(row, (params.m - 1u) / 4u * 4u);
  let loaded = loadA(tile.a + min(k, params.k - 1u) * params.m + quad, params.m - quad);
  return select(vec4f(0.0), loaded, k < params.k);
}

// Four rows of op(a) by four terms from `k` on: a vec4 of rows for each term, whichever way `a` is stored.
fn blockOfA(tile: Tile, row: u32, k: u32) -> array<vec4f, 4> {
  if (TRANS_A) {
    return array(
      rowsOfA(tile, row, k),
      rowsOfA(tile, row, k + 1u),
      rowsOfA(tile, row, k + 2u),
      rowsOfA(tile, row, k + 3u),
    );
  }
  return transposed(array(
    termsOfA(tile, row, k),
    termsOfA(tile, row + 1u, k),
    termsOfA(tile, row + 2u, k),
    termsOfA(tile, row + 3u, k),
  ));
}

fn termsOfB(tile: Tile, column: u32, k: u32) -> vec4f {
  return loadB(tile.b + min(column, params.n - 1u) * params.k + k, params.k - k);
}

fn columnsOfB(tile: Tile, column: u32, k: u32) -> vec4f {
  let quad = min(column, (params.n - 1u) / 4u * 4u);
  return loadB(tile.b + min(k, params.k - 1u) * params.n + quad, params.n - quad);
}

// Four terms from `k` on by four columns of op(b): a vec4 of columns for each term.
fn blockOfB(tile: Tile, column: u32, k: u32) -> array<vec4f, 4> {
  if (TRANS_B) {
    return transposed(array(
      termsOfB(tile, column, k),
      termsOfB(tile, column + 1u, k),
      termsOfB(tile, column + 2u, k),
      termsOfB(tile, column + 3u, k),
    ));
  }
  return array(
    columnsOfB(tile, column, k),
    columnsOfB(tile, column, k + 1u),
    columnsOfB(tile, column, k + 2u),
    columnsOfB(tile, column, k + 3u),
  );
}
