// The gradient of an extreme over the middle of [outer, extent, inner]: all of it to the winner, zero to the rest. Host side:
// reduce.ts.

fn make(index: u32) {
  let item = byInner(index);
  let entry = byExtent(item.x);
  let at = entry.x * params.inner + item.y;
  dx[index] = select(Scalar(0.0), dy[at], winner[at] == entry.y);
}
