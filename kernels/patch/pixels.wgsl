// Bytes [B, H, W, 3], four to a word, to normalised planes [B, 3, H, W]: (byte / 255 - mean) / std. An item is
// a vec4 of the result. Host side: patch.ts.

fn elementAt(index: u32) -> f32 {
  let pixel = index % params.pixels;
  let channel = index / params.pixels % 3u;
  let at = (index / params.pixels / 3u * params.pixels + pixel) * 3u + channel;
  let byte = (words[at / 4u] >> (at % 4u * 8u)) & 255u;
  let mean = select(select(params.mean2, params.mean1, channel == 1u), params.mean0, channel == 0u);
  let deviation = select(select(params.std2, params.std1, channel == 1u), params.std0, channel == 0u);
  return (f32(byte) / 255.0 - mean) / deviation;
}

fn make(index: u32) {
  let at = index * 4u;
  y[index] = vec4f(elementAt(at), elementAt(at + 1u), elementAt(at + 2u), elementAt(at + 3u));
}
