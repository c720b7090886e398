// winner[row, part] = where in a row the extreme of one of its parts comes first, or the first NaN of that, by one workgroup of WORKERS
// invocations. Host side: winner.ts. Constants: NEGATED.

// More than the entries of a part, and few enough for f32 to count them.
const MOST = 65536u;

fn takeRows(index: u32) {
  let part = index % params.parts;
  let row = index / params.parts * params.extent;
  let first = row + part * params.partSize;
  let end = min(first + params.partSize, row + params.extent);
  // The part's first item is a safe start for the lanes that get no item.
  var best = turned(Wide(x[first]));
  var places = placesOf(0u);
  for (var i = first + lane; i < end; i += WORKERS) {
    let next = turned(Wide(x[i]));
    let takes = beats(next, best);
    best = select(best, next, takes);
    places = select(places, placesOf(i - first), takes);
  }
  let none = magnitudes(best) > Bits(INFINITE);
  let hasNone = laneMax(select(One(), One(1), any(none))) > One();
  let top = laneMax(largest(best));
  // The first is the one that most are left behind.
  let left = select(Wide(), Wide(Bits(MOST) - places), select(best == Wide(top), none, hasNone));
  let place = MOST - u32(laneMax(largest(left)));
  if (lane == 0u) {
    winner[index] = part * params.partSize * WIDTH + place;
  }
}
