// y[p, oy, ox] = the largest of a window of plane p, and `winners` where in the plane it stands, the first of equal ones or of
// NaNs; or the mean. Outside of the plane there is nothing for a maximum, and zeros for a mean, which count unless CUT. An invocation takes WIDTH
// windows beside each other. Host side: pool.ts. Constants: MAX, CUT.

// Of a window that has found nothing so far.
const NONE = 0xffffffffu;

fn make(index: u32) {
  let at = itemAt(index);
  let first = placeIn(at.row, at.column, 0u, 0u);
  // Where the places of a window are apart, the plane may lie between them: of nothing the maximum is the least number.
  var minusInfinity = 0xff800000u;
  var best = Wide(bitcast<f32>(minusInfinity));
  var winner = Bits(NONE);
  var sum = Wide(0.0);
  for (var ky = 0u; ky < params.rows; ky++) {
    var place = placeAt(at.plane, first.x + i32(ky * params.dilationY), first.y);
    for (var kx = 0u; kx < params.columns; kx++) {
      let value = Wide(itemOf(place));
      if (MAX) {
        let columns = columnsOf(place.column);
        let inside = (columns >= Ints(0)) & (columns < Ints(i32(params.width)));
        let wins = inside & ((winner == Bits(NONE)) | beats(value, best)) & allOf(place.there);
        best = select(best, value, wins);
        winner = select(winner, Bits(place.row - at.plane * params.height * params.width) + Bits(columns), wins);
      } else {
        sum += value;
      }
      place.column += i32(params.dilationX);
    }
  }
  if (MAX) {
    y[index] = Out(best);
    winners[index] = winner;
  } else {
    y[index] = Out(sum / sharesOf(at.row, at.column));
  }
}
