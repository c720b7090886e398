// dx[p, y, x] = what the windows with this place give back: all of dy where it won, or its share of a mean. Host side: pool.ts.
// Constants: MAX.

fn make(index: u32) {
  let place = vec2u(index / params.width % params.height, index % params.width);
  let plane = index / params.width / params.height;
  var sum = 0.0;
  for (var ky = 0u; ky < params.rows; ky++) {
    for (var kx = 0u; kx < params.columns; kx++) {
      let window = windowOf(place.x, place.y, ky, kx);
      if (window.there) {
        let at = (plane * params.outHeight + window.y) * params.outWidth + window.x;
        if (!MAX) {
          sum += f32(dy[at]) / f32(shareOf(window.y, window.x));
        } else if (winners[at] == place.x * params.width + place.y) {
          sum += f32(dy[at]);
        }
      }
    }
  }
  dx[index] = Scalar(sum);
}
