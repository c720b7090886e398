// winner[row] = where in a row its extreme comes first, or its first NaN, by one workgroup of WORKERS invocations. Host side:
// reduce.ts. Constants: NEGATED.

fn takeRows(row: u32) {
  let first = row * params.extent;
  // The row's first item is a safe start for the lanes that get no item.
  var best = signedItem(x[first]);
  var places = placesOf(0u);
  for (var i = lane; i < params.extent; i += WORKERS) {
    let next = signedItem(x[first + i]);
    let takes = (magnitudes(best) <= Bits(INFINITE))
      & ((magnitudes(next) > Bits(INFINITE)) | (next > best));
    best = select(best, next, takes);
    places = select(places, placesOf(i), takes);
  }
  let none = magnitudes(best) > Bits(INFINITE);
  let hasNone = laneMax(select(0.0, 1.0, any(none))) > 0.0;
  let top = laneMax(largest(select(best, Wide(-3.4028234e38), none)));
  // Rows are short enough for f32 to count their entries.
  let chosen = select(Wide(1e9), Wide(places), select(best == Wide(top), none, hasNone));
  let place = -laneMax(largest(-chosen));
  if (lane == 0u) {
    winner[row] = u32(place);
  }
}
