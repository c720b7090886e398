// Quads of a matrix product of any sizes: four scalars, zeros where fewer are `left` in the row.

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

fn store(at: u32, left: u32, value: vec4f) {
  y[at] = Out(value.x);
  if (left > 1u) {
    y[at + 1u] = Out(value.y);
  }
  if (left > 2u) {
    y[at + 2u] = Out(value.z);
  }
  if (left > 3u) {
    y[at + 3u] = Out(value.w);
  }
}
