// Parts of PART entries along the middle of [outer, extent, inner], one an invocation, counted from the end with REVERSE.

fn partFirst(index: u32) -> u32 {
  return index / params.inner % params.parts * PART;
}

fn partEnd(index: u32) -> u32 {
  return min(partFirst(index) + PART, params.extent);
}

fn placeOf(index: u32, r: u32) -> u32 {
  let outer = index / params.inner / params.parts;
  let row = select(r, params.extent - 1u - r, REVERSE);
  return (outer * params.extent + row) * params.inner + index % params.inner;
}
