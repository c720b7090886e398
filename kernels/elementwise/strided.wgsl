// y = f(a, b, c) of up to three operands that are read through strides, so that broadcasting (stride 0) and permuting need
// no copies; y is contiguous. Behind this text stand `offsets`, `fourOffsets`, `ofQuads` and `ofSingles`, written by strided.ts around the
// expression of one operation; Offsets are an offset into each operand. VECTOR: all operands are contiguous in groups of
// four along y, or constant there. Constants: DIMS, VECTOR, and SPLAT_… where an operand is.

fn make(i: u32) {
  let first = i * 4u;
  if (VECTOR) {
    y[i] = ofQuads(offsets(first));
  } else {
    y[i] = ofSingles(fourOffsets(first));
  }
}
