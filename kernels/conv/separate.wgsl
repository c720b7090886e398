// y[b, o, oy, ox] = the sum over the channels c of o's group and over its window of weight[o, c, ky, kx] x[b, c, ...]: convolutions of
// groups of few channels, where nothing is multiplied often enough to be laid out for a matrix product. An invocation takes WIDTH
// windows beside each other. Host side: separate.ts.

fn make(index: u32) {
  let beside = params.outWidth / WIDTH;
  let row = index / beside;
  let result = row / params.outHeight;
  let picture = result / params.outputs;
  let o = result - picture * params.outputs;
  let first = placeIn(row - result * params.outHeight, (index - row * beside) * WIDTH, 0u, 0u);
  let plane = picture * params.channels + o / params.share * params.own;
  var at = o * params.own * params.rows * params.columns;
  var sum = Wide(0.0);
  for (var c = 0u; c < params.own; c++) {
    for (var ky = 0u; ky < params.rows; ky++) {
      var place = placeAt(plane + c, first.x + i32(ky * params.dilationY), first.y);
      for (var kx = 0u; kx < params.columns; kx++) {
        sum += f32(weight[at]) * Wide(itemOf(place));
        place.column += i32(params.dilationX);
        at++;
      }
    }
  }
  y[index] = Out(sum);
}
