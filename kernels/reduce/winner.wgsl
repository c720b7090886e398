// What the kernels of winners share, poolings among them. Stands behind nan.wgsl or whole.wgsl.

// Whether a number takes the place of the best before it: a larger one does, and a NaN, the first of them for good.
fn beats(next: Wide, best: Wide) -> Truth {
  return (magnitudes(best) <= Bits(INFINITE)) & ((magnitudes(next) > Bits(INFINITE)) | (next > best));
}
