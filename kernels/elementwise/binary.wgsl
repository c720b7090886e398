// y = f(a, b) where a and b are read through strides, so that broadcasting (stride 0) and permuting need no copies;
// y is contiguous. VECTOR: both operands are contiguous in groups of four along y, or constant there (SPLAT_A, SPLAT_B).
// Behind this text stands `combine`, f on two vec4f, from the table in binary.ts. Constants: DIMS, VECTOR, SPLAT_A, SPLAT_B.

// Offsets into a and b of the element of y at `index`.
fn offsets(index: u32) -> vec2u {
  var rest = index;
  var at = vec2u(0u);
  if (DIMS > 3u) {
    at += rest % params.size3 * vec2u(params.strideA3, params.strideB3);
    rest /= params.size3;
  }
  if (DIMS > 2u) {
    at += rest % params.size2 * vec2u(params.strideA2, params.strideB2);
    rest /= params.size2;
  }
  if (DIMS > 1u) {
    at += rest % params.size1 * vec2u(params.strideA1, params.strideB1);
    rest /= params.size1;
  }
  return at + rest * vec2u(params.strideA0, params.strideB0);
}

fn make(i: u32) {
  var left = vec4f();
  var right = vec4f();
  if (VECTOR) {
    let at = offsets(i * 4u);
    if (SPLAT_A) {
      left = vec4f(f32(singlesA[at.x]));
    } else {
      left = vec4f(a[at.x / 4u]);
    }
    if (SPLAT_B) {
      right = vec4f(f32(singlesB[at.y]));
    } else {
      right = vec4f(b[at.y / 4u]);
    }
  } else {
    for (var c = 0u; c < 4u; c++) {
      let at = offsets(i * 4u + c);
      left[c] = f32(singlesA[at.x]);
      right[c] = f32(singlesB[at.y]);
    }
  }
  y[i] = Vec(combine(left, right));
}
