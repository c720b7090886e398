// Places of a row of a picture that four windows beside each other have, whose places lie next to each other. An invocation makes TALL
// rows of four windows, so that a row, once loaded, goes into all of them. Constants: COLUMNS, STRIDE_X.

const SPAN = COLUMNS + 3u * STRIDE_X;

// From place `first` of row y of a plane on; `outside` beside the plane, above and below.
fn rowFrom(plane: u32, y: i32, first: i32, outside: f32) -> array<f32, SPAN> {
  let there = y >= 0 && y < i32(params.height);
  let line = (plane * params.height + u32(clamp(y, 0, i32(params.height) - 1))) * params.width;
  var places = array<f32, SPAN>();
  for (var k = 0u; k < SPAN; k++) {
    // What is beside the row is read, and left out by its column.
    let value = f32(x[u32(i32(line) + first + i32(k))]);
    places[k] = select(outside, value, there && u32(first + i32(k)) < params.width);
  }
  return places;
}

// What the four windows have at a place of theirs.
fn besideEachOther(places: array<f32, SPAN>, kx: u32) -> vec4f {
  return vec4f(places[kx], places[kx + STRIDE_X], places[kx + 2u * STRIDE_X], places[kx + 3u * STRIDE_X]);
}
