// What kernels of integers share, u32 or i32 by `Wide`: their order, under the names of order.wgsl, and what WGSL has
// another rule for. A shift by 32 or more leaves nothing, of negative numbers -1, where WGSL takes the amount modulo 32.

fn ranks(x: Wide) -> Wide {
  return x;
}

fn ordered(a: Wide, b: Wide) -> vec4<bool> {
  return vec4<bool>(true);
}

fn lesser(a: Wide, b: Wide) -> Wide {
  return min(a, b);
}

fn greater(a: Wide, b: Wide) -> Wide {
  return max(a, b);
}

fn sizeOf(x: Wide) -> Wide {
  return abs(x);
}

fn signOf(x: Wide) -> Wide {
  return select(Wide(), Wide(vec4u(1u)), x > Wide()) | select(Wide(), ~Wide(), x < Wide());
}

// The remainder with the sign of the divisor; 0 where that is 0.
fn modulo(a: Wide, b: Wide) -> Wide {
  let rest = a % b;
  return select(rest, rest + b, (rest != Wide()) & ((rest < Wide()) != (b < Wide())));
}

fn shiftedLeft(a: Wide, b: Wide) -> Wide {
  return select(Wide(), a << (vec4u(b) & vec4u(31u)), vec4u(b) < vec4u(32u));
}

fn shiftedRight(a: Wide, b: Wide) -> Wide {
  let far = a >> vec4u(31u);
  return select(far >> vec4u(1u), a >> (vec4u(b) & vec4u(31u)), vec4u(b) < vec4u(32u));
}
