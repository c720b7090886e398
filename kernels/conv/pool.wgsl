// y[p, oy, ox] = the largest of a window of plane p, and `winners` where in the plane it stands, the first of equal ones or of
// NaNs; or the mean. Outside of the plane there is nothing, or with `countPadding` as many zeros in a mean. Host side: pool.ts.
// Constants: MAX.

fn make(index: u32) {
  let ox = index % params.outWidth;
  let oy = index / params.outWidth % params.outHeight;
  let plane = index / params.outWidth / params.outHeight;
  var found = false;
  var best = 0.0;
  var winner = 0u;
  var sum = 0.0;
  for (var ky = 0u; ky < params.rows; ky++) {
    for (var kx = 0u; kx < params.columns; kx++) {
      let place = placeIn(oy, ox, ky, kx);
      if (isInside(place)) {
        let at = u32(place.x) * params.width + u32(place.y);
        let value = f32(x[plane * params.height * params.width + at]);
        sum += value;
        if (!found || (!isNan(best) && (isNan(value) || value > best))) {
          found = true;
          best = value;
          winner = at;
        }
      }
    }
  }
  if (MAX) {
    y[index] = Scalar(best);
    winners[index] = winner;
  } else {
    y[index] = Scalar(sum / f32(shareOf(oy, ox)));
  }
}
