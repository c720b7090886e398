// AdamW (Loshchilov and Hutter, arXiv 1711.05101, as in PyTorch) over one flat buffer of parameters. The gradient is
// first scaled, then clipped to a norm whose square `normSquared` holds; a gradient that is not finite leaves
// everything as it was, so that the last good parameters survive. Elements from `decayEnd` on get no weight decay.

struct Params {
  count: u32,
  decayEnd: u32,
  learningRate: f32,
  beta1: f32,
  beta2: f32,
  epsilon: f32,
  weightDecay: f32,
  // 1 - beta1^t and sqrt(1 - beta2^t)
  correction1: f32,
  correction2: f32,
  gradientScale: f32,
  // 0: no clipping
  maxNorm: f32,
}

@group(0) @binding(0) var<storage, read> gradient: array<vec4f>;
@group(0) @binding(1) var<storage, read> normSquared: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> firstMoment: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> secondMoment: array<vec4f>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let norm = sqrt(normSquared[0]) * params.gradientScale;
  // False for NaN as well.
  if (!(norm < 3.0e38)) {
    return;
  }
  var scale = params.gradientScale;
  if (params.maxNorm > 0.0) {
    scale *= min(1.0, params.maxNorm / (norm + 1.0e-6));
  }
  let block = (wg.y * GRID_X + wg.x) * 256u;
  for (var i = 0u; i < 4u; i++) {
    let at = block + i * 64u + id;
    if (at * 4u < params.count) {
      let g = gradient[at] * scale;
      let m = mix(g, firstMoment[at], vec4f(params.beta1));
      let v = params.beta2 * secondMoment[at] + (1.0 - params.beta2) * g * g;
      let decay = select(1.0, 1.0 - params.learningRate * params.weightDecay, at * 4u < params.decayEnd);
      let step = m / (sqrt(v) / params.correction2 + params.epsilon);
      parameters[at] = parameters[at] * decay - params.learningRate / params.correction1 * step;
      firstMoment[at] = m;
      secondMoment[at] = v;
    }
  }
}
