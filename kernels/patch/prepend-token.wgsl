// y[b] = [token, x[b]] + positions: the class token, and others, go in front of every sequence, then position embeddings
// are added (Dosovitskiy et al., arXiv 2010.11929). Host side: patch.ts.

fn make(index: u32) {
  let item = byWidth(index);
  let place = byTokens(item.x);
  let i = item.y;
  let t = place.y;
  let sequence = place.x;
  var value = Wide(positions[t * params.width + i]);
  if (t < params.prefix) {
    value += Wide(token[t * params.width + i]);
  } else {
    // Each sequence of y is longer by its prefix than that of x.
    value += Wide(x[index - (sequence + 1u) * params.prefix * params.width]);
  }
  y[index] = Out(value);
}
