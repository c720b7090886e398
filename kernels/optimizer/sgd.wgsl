// Stochastic gradient descent as in PyTorch: weight decay is a part of the gradient; with momentum (Polyak, 1964), also as Nesterov
// has it (Sutskever et al., ICML 2013). Host side: sgd.ts. Constants: MOMENTUM, NESTEROV.

fn stepped(at: u32, g: vec4f, old: vec4f, decay: f32) -> vec4f {
  let slope = g + decay * old;
  if (!MOMENTUM) {
    return old - params.learningRate * slope;
  }
  let m = params.momentum * velocity[at] + slope;
  velocity[at] = m;
  if (NESTEROV) {
    return old - params.learningRate * (slope + params.momentum * m);
  }
  return old - params.learningRate * m;
}
