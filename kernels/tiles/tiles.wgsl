// Tiles of f16 in workgroup memory, as kernels on matrix units take them (the words are those of ThunderKittens, Spector et al.,
// 2024: load, multiply, store; text.ts writes those of them that go by the number of units). A tile lies line by line in the
// order that its operand has in memory, whichever way it is multiplied: a unit's matrices are loaded by rows or by columns.
// A line has RUN elements and 8 more, so that eight lines begin in eight banks of 16 bytes.
// Constants: MATRIX_M, MATRIX_N, MATRIX_K, MEMORY (bytes). What the draft of subgroup matrices may yet spell in another way stands
// here and in text.ts alone.

alias Left = subgroup_matrix_left<f16, MATRIX_K, MATRIX_M>;
alias Right = subgroup_matrix_right<f16, MATRIX_N, MATRIX_K>;
alias Result = subgroup_matrix_result<f32, MATRIX_N, MATRIX_M>;

// All of a workgroup's memory. It is seen as f16, as words of two, and as f32.
var<workgroup> memory: buffer<MEMORY>;

const HALVES = MEMORY / 2u;
const WORDS = MEMORY / 4u;

// Two numbers as a word.
fn pair(numbers: vec2f) -> u32 {
  return bitcast<u32>(vec2<f16>(numbers));
}

// Puts eight f16 of a line at element `at`, a multiple of 8. Neighbours write different banks in each of four steps if their
// `turn` differs: for Tint a vector here is as many stores as it has f16, and eight in a row would meet in eight of the banks.
fn put(at: u32, eight: vec4u, turn: u32) {
  let odd = select(eight, eight.yzwx, (turn & 1u) != 0u);
  let turned = select(odd, odd.zwxy, (turn & 2u) != 0u);
  putWord(at + 2u * (turn & 3u), turned.x);
  putWord(at + 2u * ((turn + 1u) & 3u), turned.y);
  putWord(at + 2u * ((turn + 2u) & 3u), turned.z);
  putWord(at + 2u * ((turn + 3u) & 3u), turned.w);
}

// The turn of an invocation that brings part `part` of a line of `parts` eights.
fn turnOf(id: u32, part: u32, parts: u32) -> u32 {
  return select(id / 8u, part, parts <= 4u);
}

fn putWord(at: u32, word: u32) {
  let words = bufferView<array<u32, WORDS>>(&memory, 0u);
  (*words)[at / 2u] = word;
}

// Four f32 from number `at` on, a multiple of 4.
fn fourAt(at: u32) -> vec4f {
  let quads = bufferView<array<vec4f, MEMORY / 16u>>(&memory, 0u);
  return (*quads)[at / 4u];
}
