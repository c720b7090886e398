// winner[o, part, i] = where along the middle of [outer, extent, inner] the extreme of a part comes first, or its first NaN: one invocation an
// item, down its column. With CANDIDATES an entry is no place itself but has one, of `length` that x has. Host side: winner.ts.
// Constants: CANDIDATES, NEGATED.

fn make(index: u32) {
  let i = index % params.inner;
  let part = index / params.inner % params.parts;
  let o = index / params.inner / params.parts;
  let first = part * params.partSize;
  let end = min(first + params.partSize, params.extent);
  var best = Wide();
  var places = Bits();
  for (var r = first; r < end; r++) {
    var place = r;
    if (CANDIDATES) {
      place = candidates[(o * params.extent + r) * params.inner + i];
    }
    let next = turned(Wide(x[(o * params.length + place) * params.inner + i]));
    let takes = beats(next, best) | (Bits(r) == Bits(first));
    best = select(best, next, takes);
    places = select(places, Bits(place), takes);
  }
  winner[index] = places;
}
