// How many places of a window a mean is over: those inside of the plane, or with `countPadding` also those in its borders.

// Places of one axis from `first` on, `dilation` apart, that lie from `low` to before `high`.
fn placesWithin(first: i32, count: u32, dilation: u32, low: i32, high: i32) -> u32 {
  var inside = 0u;
  for (var k = 0u; k < count; k++) {
    let at = first + i32(k * dilation);
    inside += select(0u, 1u, at >= low && at < high);
  }
  return inside;
}

fn shareOf(oy: u32, ox: u32) -> u32 {
  let first = placeIn(oy, ox, 0u, 0u);
  let before = vec2i(i32(params.top), i32(params.left)) * i32(params.countPadding);
  let behind = vec2i(i32(params.bottom), i32(params.right)) * i32(params.countPadding);
  let end = vec2i(i32(params.height), i32(params.width)) + behind;
  return placesWithin(first.x, params.rows, params.dilationY, -before.x, end.x)
    * placesWithin(first.y, params.columns, params.dilationX, -before.y, end.y);
}
