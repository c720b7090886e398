// y[p, y, x] = the sum of what all windows have of this place of plane p, x[p, ky, kx, oy, ox]: the gradient of unfold.wgsl,
// without atomics, as every place asks the windows. Host side: windows.ts.

struct Place {
  plane: u32,
  row: Along,
  column: u32,
}

fn make(index: u32) {
  let at = itemAt(index);
  y[index] = itemOf(Place(at.plane, rowOf(at.row), at.column));
}

fn valueAt(place: Place, c: u32) -> Scalar {
  let first = columnOf(place.column + c);
  let places = params.outHeight * params.outWidth;
  var sum = 0.0;
  for (var oy = place.row; oy.k < params.rows; oy = nextRow(oy)) {
    if (isIn(oy, params.outHeight)) {
      let row = (place.plane * params.rows + oy.k) * params.columns * places + u32(oy.window) * params.outWidth;
      for (var ox = first; ox.k < params.columns; ox = nextColumn(ox)) {
        if (isIn(ox, params.outWidth)) {
          sum += f32(x[row + ox.k * places + u32(ox.window)]);
        }
      }
    }
  }
  return Scalar(sum);
}
