// The gradient of separate.wgsl to its pictures: each place asks the windows that have it, of all results of its group. Host side:
// separate.ts.

struct Place {
  channel: u32,
  // Of the group's first result.
  plane: u32,
  row: Along,
  column: u32,
}

fn make(index: u32) {
  let at = itemAt(index);
  let picture = at.plane / params.channels;
  let channel = at.plane - picture * params.channels;
  let group = channel / params.own;
  let result = picture * params.outputs + group * params.share;
  dx[index] = itemOf(Place(channel, result, rowOf(at.row), at.column));
}

fn valueAt(place: Place, c: u32) -> Scalar {
  let first = columnOf(place.column + c);
  let group = place.channel / params.own;
  var sum = 0.0;
  for (var i = 0u; i < params.share; i++) {
    let weights = ((group * params.share + i) * params.own + place.channel % params.own) * params.rows;
    for (var oy = place.row; oy.k < params.rows; oy = nextRow(oy)) {
      if (isIn(oy, params.outHeight)) {
        let line = ((place.plane + i) * params.outHeight + u32(oy.window)) * params.outWidth;
        for (var ox = first; ox.k < params.columns; ox = nextColumn(ox)) {
          if (isIn(ox, params.outWidth)) {
            sum += f32(weight[(weights + oy.k) * params.columns + ox.k]) * f32(dy[line + u32(ox.window)]);
          }
        }
      }
    }
  }
  return Scalar(sum);
}
