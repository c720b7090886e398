// Windows over planes [height, width]: the window [rows, columns] of places `dilation` apart that stands at (oy, ox) of
// [outHeight, outWidth] begins at (oy, ox) * stride - padding. Host side: windows.ts.

// Where a window's place is in its plane, as vec2i(y, x).
fn placeIn(oy: u32, ox: u32, ky: u32, kx: u32) -> vec2i {
  return vec2i(
    i32(oy * params.strideY + ky * params.dilationY) - i32(params.top),
    i32(ox * params.strideX + kx * params.dilationX) - i32(params.left),
  );
}

fn isInside(place: vec2i) -> bool {
  return place.x >= 0 && place.y >= 0 && place.x < i32(params.height) && place.y < i32(params.width);
}

// The window that has (y, x) as its place (ky, kx), and whether there is one.
struct Window {
  y: u32,
  x: u32,
  there: bool,
}

fn windowOf(y: u32, x: u32, ky: u32, kx: u32) -> Window {
  let start = vec2i(
    i32(y + params.top) - i32(ky * params.dilationY),
    i32(x + params.left) - i32(kx * params.dilationX),
  );
  let stride = vec2i(i32(params.strideY), i32(params.strideX));
  let at = start / stride;
  let there = start.x >= 0 && start.y >= 0 && all(at * stride == start)
    && at.x < i32(params.outHeight) && at.y < i32(params.outWidth);
  return Window(u32(at.x), u32(at.y), there);
}
