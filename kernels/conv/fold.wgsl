// y[p, y, x] = the sum of what all windows have of this place of plane p, x[p, ky, kx, oy, ox]: the gradient of unfold.wgsl,
// without atomics, as every place asks the windows. Host side: windows.ts.

fn make(index: u32) {
  let place = vec2u(index / params.width % params.height, index % params.width);
  let plane = index / params.width / params.height;
  var sum = 0.0;
  for (var ky = 0u; ky < params.rows; ky++) {
    for (var kx = 0u; kx < params.columns; kx++) {
      let window = windowOf(place.x, place.y, ky, kx);
      if (window.there) {
        let at = ((plane * params.rows + ky) * params.columns + kx) * params.outHeight + window.y;
        sum += f32(x[at * params.outWidth + window.x]);
      }
    }
  }
  y[index] = Scalar(sum);
}
