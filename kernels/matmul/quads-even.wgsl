// How quads of a matrix product are loaded whose contiguous extents are multiples of 4: whole vec4s. `store`, and
// `storePre` for the values before GELU, are written by variants.ts, once for each tensor.

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
