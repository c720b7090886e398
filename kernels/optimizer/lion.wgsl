// Lion (Chen et al., "Symbolic discovery of optimization algorithms", arXiv 2302.06675): a step of one length, in the direction of
// the sign of a mean of gradient and momentum. Host side: lion.ts.

fn stepped(at: u32, g: vec4f, old: vec4f, decay: f32) -> vec4f {
  let m = momentum[at];
  let direction = sign(mix(g, m, vec4f(params.beta1)));
  momentum[at] = mix(g, m, vec4f(params.beta2));
  return old * (1.0 - params.learningRate * decay) - params.learningRate * direction;
}
