// Bytes [B, H, W, 3], four to a word, to normalised patches [B, H / height, W / width, 3, height, width], planes where a patch is
// a whole picture: (byte / 255 - mean) / std. An item is a vec4 of the result. Host side: patch.ts. Constants: QUADS, where
// patches are whole vec4s wide.

// Of an element of the result its byte in front of the channel's, and the channel.
fn placeOf(index: u32) -> vec2u {
  let line = byWidth(index);
  let plane = byHeight(line.x);
  let channel = plane.x % 3u;
  let at = byAcross(plane.x / 3u);
  // Rows of patches go on from picture to picture, as rows of pixels do.
  let row = at.x * params.height + plane.y;
  return vec2u(((row * params.across + at.y) * params.width + line.y) * 3u, channel);
}

fn valueAt(pixel: u32, channel: u32) -> f32 {
  let at = pixel + channel;
  let byte = (words[at / 4u] >> (at % 4u * 8u)) & 255u;
  let mean = select(select(params.mean2, params.mean1, channel == 1u), params.mean0, channel == 0u);
  let deviation = select(select(params.std2, params.std1, channel == 1u), params.std0, channel == 0u);
  return (f32(byte) / 255.0 - mean) / deviation;
}

fn make(index: u32) {
  let at = index * 4u;
  let first = placeOf(at);
  var places = array(first, first + vec2u(3u, 0u), first + vec2u(6u, 0u), first + vec2u(9u, 0u));
  if (!QUADS) {
    places = array(first, placeOf(at + 1u), placeOf(at + 2u), placeOf(at + 3u));
  }
  y[index] = Vec(vec4f(
    valueAt(places[0].x, places[0].y),
    valueAt(places[1].x, places[1].y),
    valueAt(places[2].x, places[2].y),
    valueAt(places[3].x, places[3].y),
  ));
}
