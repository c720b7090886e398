// dx[p, y, x] = what the windows with this place give back: all of dy where it won, or its share of a mean. Host side: pool.ts.
// Constants: MAX, CUT.

alias Place = Item;

fn make(index: u32) {
  dx[index] = itemOf(itemAt(index));
}

fn valueAt(place: Place, c: u32) -> Scalar {
  let own = place.row * params.width + place.column + c;
  let first = columnOf(place.column + c);
  var sum = 0.0;
  for (var oy = rowOf(place.row); oy.k < params.rows; oy = nextRow(oy)) {
    if (isIn(oy, params.outHeight)) {
      let row = (place.plane * params.outHeight + u32(oy.window)) * params.outWidth;
      for (var ox = first; ox.k < params.columns; ox = nextColumn(ox)) {
        if (isIn(ox, params.outWidth)) {
          let incoming = f32(dy[row + u32(ox.window)]);
          if (!MAX) {
            sum += incoming / shareOf(u32(oy.window), u32(ox.window));
          } else if (winners[row + u32(ox.window)] == own) {
            sum += incoming;
          }
        }
      }
    }
  }
  return Scalar(sum);
}
