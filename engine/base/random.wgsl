// Philox-2x32-10, the same function as engine/base/random.ts: 32 random bits for (key, stream, index).

fn mulHigh(a: u32, b: u32) -> u32 {
  let al = a & 0xffffu;
  let ah = a >> 16u;
  let bl = b & 0xffffu;
  let bh = b >> 16u;
  let low = al * bl;
  let mid = ah * bl + (low >> 16u);
  let cross = al * bh + (mid & 0xffffu);
  return ah * bh + (mid >> 16u) + (cross >> 16u);
}

fn randomBits(key: u32, stream: u32, index: u32) -> u32 {
  var low = index;
  var high = stream;
  var round = key;
  for (var i = 0u; i < 10u; i++) {
    let productHigh = mulHigh(0xd256d193u, low);
    let productLow = 0xd256d193u * low;
    low = productHigh ^ round ^ high;
    high = productLow;
    round += 0x9e3779b9u;
  }
  return low;
}

// Uniform in [0, 1), with 24 random bits.
fn uniformAt(key: u32, stream: u32, index: u32) -> f32 {
  return f32(randomBits(key, stream, index) >> 8u) * 0x1p-24f;
}
