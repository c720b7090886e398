// One place of each of WIDTH windows beside each other, all in a row of a plane of x.

struct Place {
  // Where the plane's row begins in x, and whether there is one.
  row: u32,
  there: bool,
  // Of the first window.
  column: i32,
}

fn placeAt(plane: u32, y: i32, column: i32) -> Place {
  let row = clamp(y, 0, i32(params.height) - 1);
  return Place((plane * params.height + u32(row)) * params.width, row == y, column);
}

// 0 outside of the plane.
fn valueAt(place: Place, c: u32) -> Scalar {
  let at = place.column + i32(c * params.strideX);
  let column = clamp(at, 0, i32(params.width) - 1);
  return select(Scalar(), x[place.row + u32(column)], place.there && column == at);
}
