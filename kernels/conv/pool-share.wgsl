// How many places of a window a mean is over: all of them, or with CUT those inside of the plane.

// Places of one axis from `first` on, `dilation` apart, that lie before `end`.
fn placesBefore(first: i32, count: u32, dilation: u32, end: u32) -> u32 {
  return min((u32(max(i32(end) - first, 0)) + dilation - 1u) / dilation, count);
}

fn placesWithin(first: i32, count: u32, dilation: u32, extent: u32) -> u32 {
  return placesBefore(first, count, dilation, extent) - placesBefore(first, count, dilation, 0u);
}

fn shareOf(oy: u32, ox: u32) -> f32 {
  if (!CUT) {
    return f32(params.rows * params.columns);
  }
  let first = placeIn(oy, ox, 0u, 0u);
  return f32(placesWithin(first.x, params.rows, params.dilationY, params.height)
    * placesWithin(first.y, params.columns, params.dilationX, params.width));
}
