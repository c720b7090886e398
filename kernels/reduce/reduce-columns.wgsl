// y[o, i] = sum, maximum, minimum or product over r of x[o, r, i]: one invocation per item of the inner extent, neighbours read
// neighbouring addresses. With several parts, each part of the r's has its own result in y[o, part, i], and a second
// run over those parts finishes: a pairwise sum in two stages. Host side: reduce.ts. Constants: EXTREME, NEGATED, PRODUCT.

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let index = (wg.y * GRID_X + wg.x) * 32u + id;
  if (index >= params.outer * params.parts * params.inner) {
    return;
  }
  let i = index % params.inner;
  let part = index / params.inner % params.parts;
  let o = index / params.inner / params.parts;
  let first = part * params.partSize;
  let end = min(first + params.partSize, params.extent);
  let base = o * params.extent * params.stride + i;
  var result = turned(Wide(x[base + first * params.stride]));
  var highest = magnitudes(result);
  for (var r = first + 1u; r < end;) {
    // Few numbers at a time, so that a long sum is rounded no more often than a pairwise one.
    var block = Wide();
    for (let blockEnd = min(r + 32u, end); r < blockEnd; r++) {
      let next = turned(Wide(x[base + r * params.stride]));
      if (EXTREME) {
        result = max(result, next);
        highest = max(highest, magnitudes(next));
      } else if (PRODUCT) {
        result *= next;
      } else {
        block += next;
      }
    }
    if (!EXTREME && !PRODUCT) {
      result += block;
    }
  }
  if (EXTREME) {
    result = select(result, Wide(nan()), highest > Bits(INFINITE));
  }
  y[index] = Out(turned(result) * One(params.scale));
}
