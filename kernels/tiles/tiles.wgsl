// Tiles of f16 in workgroup memory, as kernels on matrix units take them (the words are those of ThunderKittens, Spector et al.,
// 2024: load, multiply, store; text.ts writes those of them that go by the number of units). A tile lies line by line in the
// order that its operand has in memory, whichever way it is multiplied: a unit's matrices are loaded by rows or by columns. It goes in
// and out by eights, 16 bytes. A line has 8 elements more than it needs, so that eight lines begin in different banks.
// Constants: MATRIX_M, MATRIX_N, MATRIX_K, MEMORY (bytes). What the draft of subgroup matrices may yet spell in another way stands
// here and in text.ts alone.

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

var<workgroup> memory: array<vec4u, MEMORY / 16u>;

// Two numbers as a word.
fn pair(numbers: vec2f) -> u32 {
  return bitcast<u32>(vec2<f16>(numbers));
}

// Puts eight f16 at element `at`, a multiple of 8.
fn put(at: u32, eight: vec4u) {
  memory[at / 8u] = eight;
}

// The line and the eight of it that turn i of all invocations is about: where lines are short, eight neighbours take eight lines, whose
// banks differ. Lines come in whole eights.
fn lineOf(i: u32, parts: u32) -> u32 {
  return select(i / parts, i / (8u * parts) * 8u + i % 8u, parts < 8u);
}

fn partOf(i: u32, parts: u32) -> u32 {
  return select(i % parts, i / 8u % parts, parts < 8u);
}

// Four f32 from number `at` on, a multiple of 4.
fn fourAt(at: u32) -> vec4f {
  return bitcast<vec4f>(memory[at / 4u]);
}
