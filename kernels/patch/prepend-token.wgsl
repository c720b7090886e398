// y[b] = [token, x[b]] + positions: the class token goes in front of every sequence, then position embeddings are
// added (Dosovitskiy et al., arXiv 2010.11929). Host side: patch.ts.

fn make(index: u32) {
  let i = index % params.width;
  let t = index / params.width % params.tokens;
  let sequence = index / params.width / params.tokens;
  var value = Wide(positions[t * params.width + i]);
  if (t == 0u) {
    value += Wide(token[i]);
  } else {
    // Each sequence of y is one token longer than that of x.
    value += Wide(x[index - (sequence + 1u) * params.width]);
  }
  y[index] = Out(value);
}
