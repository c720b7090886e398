// y = f(a, b, c) of up to three operands that are read through strides, so that broadcasting (stride 0) and permuting need
// no copies; y is contiguous. Behind this text stand `ofQuads`, `ofSingles` and `strideN`, written by strided.ts around the
// expression of one operation, and Offsets, an offset into each operand. VECTOR: all operands are contiguous in groups of
// four along y, or constant there. Constants: DIMS, VECTOR.

// Where the element of y at `index` is in each operand.
fn offsets(index: u32) -> Offsets {
  var rest = index;
  var at = Offsets();
  if (DIMS > 3u) {
    at += rest % params.size3 * stride3();
    rest /= params.size3;
  }
  if (DIMS > 2u) {
    at += rest % params.size2 * stride2();
    rest /= params.size2;
  }
  if (DIMS > 1u) {
    at += rest % params.size1 * stride1();
    rest /= params.size1;
  }
  return at + rest * stride0();
}

fn make(i: u32) {
  let first = i * 4u;
  if (VECTOR) {
    y[i] = ofQuads(offsets(first));
  } else {
    y[i] = ofSingles(offsets(first), offsets(first + 1u), offsets(first + 2u), offsets(first + 3u));
  }
}
