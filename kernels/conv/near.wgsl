// The same as separate.wgsl, or with BACK separate-backward.wgsl, of windows whose places and neighbours are next to each other: an
// invocation makes TALL rows of four results, so that a row of the picture, once loaded, goes into all the windows that have it, and weights
// are loaded once. With BACK x is the gradient of the result and y that of the pictures, and weights are turned round. Host side:
// separate.ts. Constants: ROWS, COLUMNS, TALL, BACK.

// Places of a row that four windows have.
const SPAN = COLUMNS + 3u;

fn make(index: u32) {
  let beside = params.outWidth / 4u;
  let strip = index / beside;
  let ox = i32((index - strip * beside) * 4u) - i32(params.left);
  let plane = strip / params.strips;
  let row = (strip - plane * params.strips) * TALL;
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
    for (var r = 0u; r < TALL + ROWS - 1u; r++) {
      let y = i32(row + r) - i32(params.top);
      let there = y >= 0 && y < i32(params.height);
      let line = ((first + c) * params.height + u32(clamp(y, 0, i32(params.height) - 1))) * params.width;
      var places = array<f32, SPAN>();
      for (var k = 0u; k < SPAN; k++) {
        // What is beside the row is read, and left out by its column.
        let value = f32(x[u32(i32(line) + ox + i32(k))]);
        places[k] = select(0.0, value, there && u32(ox + i32(k)) < params.width);
      }
      for (var ky = 0u; ky < ROWS; ky++) {
        if (r >= ky && r < ky + TALL) {
          for (var kx = 0u; kx < COLUMNS; kx++) {
            sums[r - ky] += weights[ky * COLUMNS + kx]
              * vec4f(places[kx], places[kx + 1u], places[kx + 2u], places[kx + 3u]);
          }
        }
      }
    }
  }
  for (var t = 0u; t < TALL; t++) {
    if (row + t < params.outHeight) {
      y[((plane * params.outHeight + row + t) * params.outWidth) / 4u + index - strip * beside] = Vec(sums[t]);
    }
  }
}
