// y[b, o, oy, ox] = the sum over the channels c of o's group and over its window of weight[o, c, ky, kx] x[b, c, ...]: convolutions of
// groups of few channels, where nothing is multiplied often enough to be laid out for a matrix product. An invocation takes WIDTH
// windows beside each other. Host side: separate.ts.

fn make(index: u32) {
  let at = itemAt(index);
  let picture = at.plane / params.outputs;
  let o = at.plane - picture * params.outputs;
  let first = placeIn(at.row, at.column, 0u, 0u);
  let plane = picture * params.channels + o / params.share * params.own;
  var next = o * params.own * params.rows * params.columns;
  var sum = Wide(0.0);
  for (var c = 0u; c < params.own; c++) {
    for (var ky = 0u; ky < params.rows; ky++) {
      var place = placeAt(plane + c, first.x + i32(ky * params.dilationY), first.y);
      for (var kx = 0u; kx < params.columns; kx++) {
        sum += f32(weight[next]) * Wide(itemOf(place));
        place.column += i32(params.dilationX);
        next++;
      }
    }
  }
  y[index] = Out(sum);
}
