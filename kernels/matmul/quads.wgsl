// Quads of a row of any length, of which only `left` elements are there. `loadA`, `store` and their like are written by
// variants.ts, once for each tensor.

// Which of the four are there; the others are looked up at element 0 and don't count.
fn inside(left: u32) -> vec4<bool> {
  return vec4u(0u, 1u, 2u, 3u) < vec4u(left);
}

fn places(at: u32, left: u32) -> vec4u {
  return select(vec4u(0u), vec4u(at) + vec4u(0u, 1u, 2u, 3u), inside(left));
}
