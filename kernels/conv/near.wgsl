// The same as separate.wgsl, or with BACK separate-backward.wgsl, of windows whose places and neighbours are next to each other: an
// invocation makes TALL rows of four results, so that a row of the picture, once loaded, goes into all the windows that have it, and weights
// are loaded once. With BACK x is the gradient of the result and y that of the pictures, and weights are turned round. Host side:
// separate.ts. Constants: ROWS, COLUMNS, TALL, BACK.

fn make(index: u32) {
  let line = byBeside(index);
  let strip = byStrips(line.x);
  let ox = i32(line.y * 4u * STRIDE_X) - i32(params.left);
  let plane = strip.x;
  let row = strip.y * TALL;
  let picture = plane / params.outputs;
  let o = plane - picture * params.outputs;
  let group = o / params.share;
  let first = picture * params.channels + group * params.own;
  var sums = array<vec4f, TALL>();
  for (var c = 0u; c < params.own; c++) {
    let chosen = select(o * params.own + c, (group * params.own + c) * params.share + o - group * params.share, BACK);
    var weights = array<f32, ROWS * COLUMNS>();
    for (var k = 0u; k < ROWS * COLUMNS; k++) {
      weights[k] = f32(weight[chosen * ROWS * COLUMNS + select(k, ROWS * COLUMNS - 1u - k, BACK)]);
    }
    for (var r = 0u; r < (TALL - 1u) * STRIDE_Y + ROWS; r++) {
      let places = rowFrom(first + c, i32(row * STRIDE_Y + r) - i32(params.top), ox, 0.0);
      for (var t = 0u; t < TALL; t++) {
        let ky = r - t * STRIDE_Y;
        if (ky < ROWS) {
          for (var kx = 0u; kx < COLUMNS; kx++) {
            sums[t] += weights[ky * COLUMNS + kx] * besideEachOther(places, kx);
          }
        }
      }
    }
  }
  for (var t = 0u; t < TALL; t++) {
    if (row + t < params.outHeight) {
      y[((plane * params.outHeight + row + t) * params.outWidth) / 4u + line.y] = Vec(sums[t]);
    }
  }
}
