// Windows over planes [height, width]: the window [rows, columns] of places `dilation` apart that stands at (oy, ox) of
// [outHeight, outWidth] begins at (oy, ox) * stride - padding. Host side: windows.ts.

// Where item number `index` of what a kernel makes is: in planes of `params.down` rows of `params.beside` items.
struct Item {
  plane: u32,
  row: u32,
  // Of its first element.
  column: u32,
}

fn itemAt(index: u32) -> Item {
  let line = byBeside(index);
  let at = byDown(line.x);
  return Item(at.x, at.y, line.y * WIDTH);
}

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

// A place of a picture along one axis as number k of a window's: which window has it there, and how far it is beyond the place of
// the one before; none has it unless that is 0. From one k to the next the window goes back, without a division.
struct Along {
  k: u32,
  window: i32,
  beyond: i32,
}

fn alongOf(place: u32, stride: u32, dilation: u32) -> Along {
  // One, mostly.
  if (stride == 1u) {
    return Along(0u, i32(place), 0);
  }
  let window = place / stride;
  let beyond = place - window * stride;
  // Places without gaps: the windows before are a stride away.
  if (dilation == 1u) {
    return Along(beyond, i32(window), 0);
  }
  return Along(0u, i32(window), i32(beyond));
}

fn next(at: Along, skip: u32, whole: u32, rest: u32, stride: u32) -> Along {
  let beyond = at.beyond - i32(rest);
  let less = beyond < 0;
  return Along(at.k + skip, at.window - i32(whole) - select(0, 1, less), beyond + select(0, i32(stride), less));
}

fn isIn(at: Along, windows: u32) -> bool {
  return at.beyond == 0 && at.window >= 0 && at.window < i32(windows);
}

fn rowOf(y: u32) -> Along {
  return alongOf(y + params.top, params.strideY, params.dilationY);
}

fn columnOf(x: u32) -> Along {
  return alongOf(x + params.left, params.strideX, params.dilationX);
}

fn nextRow(at: Along) -> Along {
  return next(at, params.skipY, params.wholeY, params.restY, params.strideY);
}

fn nextColumn(at: Along) -> Along {
  return next(at, params.skipX, params.wholeX, params.restX, params.strideX);
}
