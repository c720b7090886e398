// What a gradient of this norm is multiplied by so that its norm is `maxNorm` at most (0: any), as PyTorch's clip_grad_norm_.

fn clipping(norm: f32) -> f32 {
  return select(1.0, min(1.0, params.maxNorm / (norm + 1.0e-6)), params.maxNorm > 0.0);
}
