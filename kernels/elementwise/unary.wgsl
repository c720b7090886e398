// y = f(x) for every element, or with BACKWARD y = dy f'(x); four vec4s an invocation. For f whose slope is simplest
// in terms of the result (exp, sqrt, sigmoid, tanh, reciprocal), `x` is that result in BACKWARD. Host side: unary.ts.
// Constants: OP, BACKWARD.

const EXP = 0u;
const LOG = 1u;
const SQRT = 2u;
const SIGMOID = 3u;
const TANH = 4u;
const RELU = 5u;
const GELU = 6u;
const SQUARE = 7u;
const RECIPROCAL = 8u;
const SCALE = 9u;
const ADD = 10u;

// tanh x = (1 - e) / (1 + e) with e = exp(-2 |x|) loses digits near 0, where its Taylor series is exact enough.
fn accurateTanh(x: vec4f) -> vec4f {
  let e = exp(-2.0 * abs(x));
  let far = sign(x) * (1.0 - e) / (1.0 + e);
  let x2 = x * x;
  let near = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 + x2 * (-17.0 / 315.0 + x2 * (62.0 / 2835.0)))));
  return select(far, near, abs(x) < vec4f(0.25));
}

fn value(x: vec4f) -> vec4f {
  switch (OP) {
    case EXP: { return exp(x); }
    case LOG: { return log(x); }
    case SQRT: { return sqrt(x); }
    // exp(-|x|) can't overflow.
    case SIGMOID: {
      let e = exp(-abs(x));
      return select(e, vec4f(1.0), x >= vec4f(0.0)) / (1.0 + e);
    }
    case TANH: { return accurateTanh(x); }
    case RELU: { return max(x, vec4f(0.0)); }
    case GELU: { return vec4f(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w)); }
    case SQUARE: { return x * x; }
    case RECIPROCAL: { return 1.0 / x; }
    case ADD: { return x + params.operand; }
    default: { return x * params.operand; }
  }
}

fn slope(x: vec4f) -> vec4f {
  switch (OP) {
    case EXP: { return x; }
    case LOG: { return 1.0 / x; }
    case SQRT: { return 0.5 / x; }
    case SIGMOID: { return x * (1.0 - x); }
    case TANH: { return 1.0 - x * x; }
    case RELU: { return select(vec4f(0.0), vec4f(1.0), x > vec4f(0.0)); }
    case GELU: { return vec4f(geluSlope(x.x), geluSlope(x.y), geluSlope(x.z), geluSlope(x.w)); }
    case SQUARE: { return 2.0 * x; }
    case RECIPROCAL: { return -x * x; }
    case ADD: { return vec4f(1.0); }
    default: { return vec4f(params.operand); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let first = (wg.y * GRID_X + wg.x) * 256u + id;
  for (var j = 0u; j < 256u; j += 64u) {
    let i = first + j;
    if (i >= params.count) {
      return;
    }
    let at = vec4f(x[i]);
    if (BACKWARD) {
      y[i] = Vec(vec4f(dy[i]) * slope(at));
    } else {
      y[i] = Vec(value(at));
    }
  }
}
