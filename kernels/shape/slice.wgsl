// y = x along the middle of [outer, extent, inner], shifted by `offset`: a slice of x, or x with zeros or a second
// tensor around it. Host side: reshape.ts. Constants: HAS_NEXT.

fn make(index: u32) {
  let i = index % params.inner;
  let j = i32(index / params.inner % params.extent) + params.offset;
  let o = index / params.inner / params.extent;
  let extentX = i32(params.extentX);
  if (j >= 0 && j < extentX) {
    y[index] = x[(o * params.extentX + u32(j)) * params.inner + i];
  } else if (HAS_NEXT) {
    y[index] = next[(o * (params.extent - params.extentX) + u32(j - extentX)) * params.inner + i];
  } else {
    y[index] = Out(Wide(0.0));
  }
}
