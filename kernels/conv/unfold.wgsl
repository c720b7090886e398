// y[p, ky, kx, oy, ox] = what the window at (oy, ox) of plane p of x has at (ky, kx); 0 outside of the plane. An invocation makes
// what WIDTH windows beside each other have of one of their rows: whole numbers are divided slowly, and so its place is found once
// for all of that. Host side: windows.ts.

fn make(index: u32) {
  let beside = params.outWidth / WIDTH;
  let line = index / beside;
  let ox = index - line * beside;
  let rest = line / params.outHeight;
  let oy = line - rest * params.outHeight;
  let plane = rest / params.rows;
  let first = placeIn(oy, ox * WIDTH, rest - plane * params.rows, 0u);
  var place = placeAt(plane, first.x, first.y);
  var to = (rest * params.columns * params.outHeight + oy) * beside + ox;
  for (var kx = 0u; kx < params.columns; kx++) {
    y[to] = itemOf(place);
    place.column += i32(params.dilationX);
    to += params.outHeight * beside;
  }
}
