// The same as gather.wgsl where the axis is the last and four divides its ids: an invocation takes four of them, whose row of x it finds
// once. Host side: gather.ts. Constants: ALONG, SIGNED, ZEROS.

fn make(index: u32) {
  let entry = byQuads(index);
  let rows = rowsOf(ids[select(entry.y, index, ALONG)]);
  let there = rows < vec4u(params.rows);
  let at = vec4u(entry.x * params.rows) + min(rows, vec4u(params.rows - 1u));
  let none = Vec(Scalar(select(nan(), 0.0, ZEROS)));
  y[index] = select(none, Vec(x[at.x], x[at.y], x[at.z], x[at.w]), there);
}

// As rowOf of row.wgsl.
fn rowsOf(ids: vec4u) -> vec4u {
  return select(ids, ids + params.rows, vec4<bool>(SIGNED) & (ids > vec4u(0x7fffffffu)));
}
