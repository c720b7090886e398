// result = f(...) for every element, whatever f is: behind this text stands `valueAt`, written by map.ts around the
// expression of one operation. PARTIAL: the result may be a part of a larger tensor, so its last vec4 is finished element
// by element, and what follows stays as it is.

fn make(i: u32) {
  let value = Out(valueAt(i));
  if (!PARTIAL || i * 4u + 4u <= params.size) {
    result[i] = value;
  } else {
    for (var c = 0u; c < params.size % 4u; c++) {
      result[i][c] = value[c];
    }
  }
}

