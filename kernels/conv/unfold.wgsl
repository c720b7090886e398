// y[p, ky, kx, oy, ox] = what the window at (oy, ox) of plane p of x has at (ky, kx); 0 outside of the plane. An invocation makes
// what WIDTH windows beside each other have of one of their rows: whole numbers are divided slowly, and so its place is found once
// for all of that. Host side: windows.ts.

fn make(index: u32) {
  // Its plane is a row of all the windows of a plane of x.
  let at = itemAt(index);
  let plane = at.plane / params.rows;
  let first = placeIn(at.row, at.column, at.plane - plane * params.rows, 0u);
  var place = placeAt(plane, first.x, first.y);
  var to = (at.plane * params.columns * params.down + at.row) * params.beside + at.column / WIDTH;
  for (var kx = 0u; kx < params.columns; kx++) {
    y[to] = itemOf(place);
    place.column += i32(params.dilationX);
    to += params.down * params.beside;
  }
}
