// Rows of any length as aligned vec4s: where a row does not start or end on a vec4 of the buffer, its first and last
// vec4 are shared with its neighbours and masked. Needs a binding `y: array<Vec>` and the constant ALIGNED, true where
// the row length is a multiple of 4. `enterRow` comes first.

// Elements of this row, from first to before end.
var<private> rowFirst: u32;
var<private> rowEnd: u32;

fn enterRow(row: u32, length: u32) {
  rowFirst = row * length;
  rowEnd = rowFirst + length;
}

fn firstVec() -> u32 {
  return rowFirst / 4u;
}

fn endVec() -> u32 {
  return (rowEnd + 3u) / 4u;
}

// Which components of a vec4 belong to this row.
fn inRow(v: u32) -> vec4<bool> {
  if (ALIGNED) {
    return vec4<bool>(true);
  }
  let element = vec4u(v * 4u) + vec4u(0u, 1u, 2u, 3u);
  return (element >= vec4u(rowFirst)) & (element < vec4u(rowEnd));
}

// Writes what belongs to this row; a neighbour writes the rest.
fn storeRow(v: u32, value: vec4f) {
  let inside = inRow(v);
  if (all(inside)) {
    y[v] = Vec(value);
    return;
  }
  if (inside.x) { y[v].x = Scalar(value.x); }
  if (inside.y) { y[v].y = Scalar(value.y); }
  if (inside.z) { y[v].z = Scalar(value.z); }
  if (inside.w) { y[v].w = Scalar(value.w); }
}
