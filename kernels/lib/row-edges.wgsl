// Rows of any length as aligned vec4s. ROWS rows stand in a row of vec4s: one where the row length is a multiple of 4, else
// four, so that a workgroup's rows begin and end at a vec4 and none is shared with another workgroup, which could not
// write its part alone: a store to one component of a vector in memory may write all of it. Rows are read one by one,
// with what their first and last vec4 have of others masked, and written together.

// The workgroup's elements, and those of the row that `enterRow` told last: from first to before end.
var<private> blockFirst: u32;
var<private> blockEnd: u32;
var<private> rowFirst: u32;
var<private> rowEnd: u32;

// Returns how many rows there are from row `first` on, ROWS or what is left.
fn enterRows(first: u32) -> u32 {
  let count = min(ROWS, params.rows - first);
  blockFirst = first * params.length;
  blockEnd = blockFirst + count * params.length;
  return count;
}

fn enterRow(r: u32) {
  rowFirst = blockFirst + r * params.length;
  rowEnd = rowFirst + params.length;
}

// Which components of a vec4 belong to the row.
fn inRow(v: u32) -> vec4<bool> {
  if (ROWS == 1u) {
    return vec4<bool>(true);
  }
  let element = vec4u(v * 4u) + vec4u(0u, 1u, 2u, 3u);
  return (element >= vec4u(rowFirst)) & (element < vec4u(rowEnd));
}

// For each component of a vec4 the value of its row.
fn ofRows(values: vec4f, v: u32) -> vec4f {
  if (ROWS == 1u) {
    return vec4f(values.x);
  }
  let element = vec4u(v * 4u) + vec4u(0u, 1u, 2u, 3u) - vec4u(blockFirst);
  let upper = select(vec4f(values.w), vec4f(values.z), element < vec4u(3u * params.length));
  let lower = select(vec4f(values.y), vec4f(values.x), element < vec4u(params.length));
  return select(upper, lower, element < vec4u(2u * params.length));
}
