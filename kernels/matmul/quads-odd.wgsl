// How quads of a matrix product of any sizes are loaded: four scalars, zeros where fewer are `left` in the row. `store`,
// and `storePre` for the values before GELU, are written by variants.ts, once for each tensor.

// Which of the four are there; the others are looked up at element 0 and don't count.
fn inside(left: u32) -> vec4<bool> {
  return vec4u(0u, 1u, 2u, 3u) < vec4u(left);
}

fn places(at: u32, left: u32) -> vec4u {
  return select(vec4u(0u), vec4u(at) + vec4u(0u, 1u, 2u, 3u), inside(left));
}

fn loadA(at: u32, left: u32) -> vec4f {
  let i = places(at, left);
  return select(vec4f(0.0), vec4f(vec4<Scalar>(a[i.x], a[i.y], a[i.z], a[i.w])), inside(left));
}

fn loadB(at: u32, left: u32) -> vec4f {
  let i = places(at, left);
  return select(vec4f(0.0), vec4f(vec4<Scalar>(b[i.x], b[i.y], b[i.z], b[i.w])), inside(left));
}

fn loadBias(at: u32, left: u32) -> vec4f {
  let i = places(at, left);
  return vec4f(vec4<Scalar>(bias[i.x], bias[i.y], bias[i.z], bias[i.w]));
}

fn loadResidual(at: u32, left: u32) -> vec4f {
  let i = places(at, left);
  return vec4f(vec4<Scalar>(residual[i.x], residual[i.y], residual[i.z], residual[i.w]));
}
