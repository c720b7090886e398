// How rows are handed to all lanes through workgroup memory: the workgroup copies BLOCK of them at a time, and every
// lane then reads the same address. The functions are called in uniform control flow; pass-subgroup.wgsl describes
// them.

// Two operands at once.
var<workgroup> tokens: array<vec4f, 2u * BLOCK * QUADS>;

fn stage(which: u32, operand: Operand, first: u32, lane: u32) {
  workgroupBarrier();
  for (var i = lane; i < BLOCK * QUADS; i += WORKERS) {
    tokens[which % 2u * BLOCK * QUADS + i] = load(which, tokenAt(operand, first + i / QUADS) + i % QUADS);
  }
  workgroupBarrier();
}

fn passingRow(which: u32, operand: Operand, first: u32, j: u32, lane: u32) -> Row {
  let start = (which % 2u * BLOCK + j) * QUADS;
  var row = Row();
  for (var d = 0u; d < PART; d++) {
    row[d] = tokens[start + quadAt(d)];
  }
  return row;
}
