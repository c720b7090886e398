// y[row, part] = sum, maximum or minimum over one part of a contiguous row, by one workgroup of WORKERS invocations. A row in
// several parts is finished by a second run over its parts. Host side: reduce.ts. Constants: EXTREME, NEGATED.

fn takeRows(index: u32) {
  let part = index % params.parts;
  let base = index / params.parts * params.extent;
  let first = base + part * params.partSize;
  let end = min(first + params.partSize, base + params.extent);
  // The part's first item is a safe start of a maximum for the lanes that get no item.
  var result = select(Wide(), turned(Wide(x[first])), EXTREME);
  var highest = magnitudes(result);
  for (var i = first + lane; i < end; i += WORKERS) {
    let next = turned(Wide(x[i]));
    if (EXTREME) {
      result = max(result, next);
      highest = max(highest, magnitudes(next));
    } else {
      result += next;
    }
  }
  var whole = One();
  if (EXTREME) {
    whole = laneMax(largest(result));
    if (laneMax(select(One(), One(1), any(highest > Bits(INFINITE)))) > One()) {
      whole = nan();
    }
  } else {
    whole = laneSum(total(result));
  }
  if (lane == 0u) {
    y[index] = Result(turnedOne(whole) * One(params.scale));
  }
}
