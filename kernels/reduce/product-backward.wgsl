// The gradient of a product over the middle of [outer, extent, inner]: of each factor the product of the others. Where a factor
// is 0 it alone has a gradient, where two are nothing has. One invocation per product. Host side: reduce.ts.

fn make(column: u32) {
  let base = column / params.inner * params.extent * params.inner + column % params.inner;
  var others = 1.0;
  var zeros = 0u;
  for (var r = 0u; r < params.extent; r++) {
    let value = f32(x[base + r * params.inner]);
    if (value == 0.0) {
      zeros++;
    } else {
      others *= value;
    }
  }
  let incoming = f32(dy[column]);
  for (var r = 0u; r < params.extent; r++) {
    let at = base + r * params.inner;
    let value = f32(x[at]);
    var slope = 0.0;
    if (zeros == 0u) {
      slope = others / value;
    } else if (zeros == 1u && value == 0.0) {
      slope = others;
    }
    dx[at] = Scalar(incoming * slope);
  }
}
