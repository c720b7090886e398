// The gradient of an extreme over the middle of [outer, extent, inner]: all of it to the winner, zero to the rest. Host side:
// reduce.ts.

fn make(index: u32) {
  let r = index / params.inner % params.extent;
  let at = index / params.inner / params.extent * params.inner + index % params.inner;
  dx[index] = select(Scalar(0.0), dy[at], winner[at] == r);
}
