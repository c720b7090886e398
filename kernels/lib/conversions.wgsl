// Numbers from integers and back. WGSL may round an integer that f32 has not either way, and lets NaN become any integer.

fn fromWords(x: vec4u) -> vec4f {
  return vec4f(x & vec4u(0xffff0000u)) + vec4f(x & vec4u(0xffffu));
}

fn fromIntegers(x: vec4i) -> vec4f {
  return vec4f(x & vec4i(-65536)) + vec4f(x & vec4i(0xffff));
}

fn toWords(x: vec4f) -> vec4u {
  let inside = vec4u(clamp(x, vec4f(0.0), vec4f(4294967040.0)));
  let all = select(inside, vec4u(0xffffffffu), x >= vec4f(4294967296.0));
  return select(all, vec4u(0u), notPositive(x) | areNan(x));
}

fn toIntegers(x: vec4f) -> vec4i {
  let inside = vec4i(clamp(x, vec4f(-2147483648.0), vec4f(2147483520.0)));
  let all = select(inside, vec4i(0x7fffffff), x >= vec4f(2147483648.0));
  return select(all, vec4i(0), areNan(x));
}
