// The same as pool.wgsl, of small windows whose places are next to each other, by rows that are loaded once for all windows that have
// them. Without WINNERS, which only a gradient asks for, it is not written where the largest stand. Host side: pool.ts.
// Constants: ROWS, COLUMNS, STRIDE_Y, STRIDE_X, TALL, MAX, CUT, WINNERS.

fn make(index: u32) {
  let at = itemAt(index);
  let plane = at.plane;
  let row = at.row * TALL;
  let first = placeIn(row, at.column, 0u, 0u);
  let columns = vec4i(first.y) + vec4i(0, 1, 2, 3) * i32(STRIDE_X);
  var values = array<vec4f, TALL>();
  var places = array<vec4u, TALL>();
  if (MAX) {
    for (var t = 0u; t < TALL; t++) {
      values[t] = vec4f(params.outside);
      // The first place that there is, where all are as low as can be.
      places[t] = vec4u(max(first.x + i32(t * STRIDE_Y), 0) * i32(params.width) + max(columns, vec4i(0)));
    }
  }
  // Of a length that the compiler can't know: unrolled it takes half as long again.
  for (var r = 0u; r < (TALL - 1u) * STRIDE_Y + params.rows; r++) {
    let y = first.x + i32(r);
    let taken = rowFrom(plane, y, first.y, params.outside);
    // Of the windows' places in this row alone.
    var ofRow = besideEachOther(taken, 0u);
    var placeOfRow = vec4u(y * i32(params.width) + max(columns, vec4i(0)));
    for (var kx = 1u; kx < COLUMNS; kx++) {
      let value = besideEachOther(taken, kx);
      if (MAX) {
        let wins = beats(value, ofRow);
        ofRow = select(ofRow, value, wins);
        placeOfRow = select(placeOfRow, vec4u(y * i32(params.width) + i32(kx) + columns), wins);
      } else {
        ofRow += value;
      }
    }
    for (var t = 0u; t < TALL; t++) {
      if (r - t * STRIDE_Y < ROWS) {
        if (MAX) {
          let wins = beats(ofRow, values[t]);
          values[t] = select(values[t], ofRow, wins);
          if (WINNERS) {
            places[t] = select(places[t], placeOfRow, wins);
          }
        } else {
          values[t] += ofRow;
        }
      }
    }
  }
  for (var t = 0u; t < TALL; t++) {
    if (row + t < params.outHeight) {
      let to = ((plane * params.outHeight + row + t) * params.outWidth + at.column) / 4u;
      if (MAX) {
        y[to] = Vec(values[t]);
        if (WINNERS) {
          winners[to] = places[t];
        }
      } else {
        y[to] = Vec(values[t] / sharesOf(row + t, at.column));
      }
    }
  }
}
