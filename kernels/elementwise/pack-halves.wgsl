// Four floats to two words of two binary16 each. Host side: halves.ts.

// What passes the largest of binary16 is no number that WGSL defines.
const LARGEST = vec4f(65504.0);

fn make(index: u32) {
  let value = clamp(x[index], -LARGEST, LARGEST);
  words[index] = vec2u(pack2x16float(value.xy), pack2x16float(value.zw));
}
