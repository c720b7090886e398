// y[p, ky, kx, oy, ox] = what the window at (oy, ox) of plane p of x has at (ky, kx); 0 outside of the plane. Host side: windows.ts.

fn make(index: u32) {
  let ox = index % params.outWidth;
  var rest = index / params.outWidth;
  let oy = rest % params.outHeight;
  rest /= params.outHeight;
  let kx = rest % params.columns;
  rest /= params.columns;
  let ky = rest % params.rows;
  let plane = rest / params.rows;
  let place = placeIn(oy, ox, ky, kx);
  var value = Scalar();
  if (isInside(place)) {
    value = x[(plane * params.height + u32(place.x)) * params.width + u32(place.y)];
  }
  y[index] = value;
}
