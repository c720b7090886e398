// Two words of two binary16 each to four floats. Host side: halves.ts.

fn make(index: u32) {
  let pair = words[index];
  y[index] = Vec(vec4f(unpack2x16float(pair.x), unpack2x16float(pair.y)));
}
