// Quads of a matrix product whose contiguous extents are multiples of 4: whole vec4s.

// The quad that starts at element `at`; `left`, the elements to the end of its row, matters only to quads-odd.wgsl.
fn loadA(at: u32, left: u32) -> vec4f {
  return vec4f(a[at / 4u]);
}

fn loadB(at: u32, left: u32) -> vec4f {
  return vec4f(b[at / 4u]);
}

fn loadBias(at: u32, left: u32) -> vec4f {
  return vec4f(bias[at / 4u]);
}

fn loadResidual(at: u32, left: u32) -> vec4f {
  return vec4f(residual[at / 4u]);
}

fn store(at: u32, left: u32, value: vec4f) {
  y[at / 4u] = vec4<Out>(value);
}
