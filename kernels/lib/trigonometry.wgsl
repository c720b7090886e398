// Sine and cosine of any number: WGSL promises them between -pi and pi only. |x| in quarters of a turn is a product in
// integers of its 24 bits and those bits of 2 / pi that count at its size (Payne and Hanek, "Radian reduction for
// trigonometric functions", SIGNUM 18, 1983). The rest of a quarter is then right to 4e-9, and to its last digit where
// |x| is below pi / 4; polynomials are those of Cephes.

// A zero word, then the bits of 2 / pi.
const turnWords = array<u32, 8>(
  0u, 0xa2f9836eu, 0x4e441529u, 0xfc2757d1u, 0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu);

// Upper and lower word of the 64 bits at `place`.
fn turnBits(place: u32) -> vec2u {
  var words = turnWords;
  let at = place / 32u;
  let shift = place % 32u;
  let next = vec2u(words[at + 1u], words[at + 2u]);
  return (vec2u(words[at], words[at + 1u]) << vec2u(shift)) | ((next >> vec2u(1u)) >> vec2u(31u - shift));
}

// sin(|x| + quarters pi / 2)
fn wave(x: vec4f, quarters: u32) -> vec4f {
  let bits = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
  let size = bitcast<vec4f>(bits);
  let m = (bits & vec4u(0x7fffffu)) | vec4u(0x800000u);
  // x is m 2^(exponent - 150); so large a one that other words count is rare.
  let place = max(bits >> vec4u(23u), vec4u(121u)) - vec4u(120u);
  var upper = vec4u(turnWords[1]) >> (vec4u(32u) - min(place, vec4u(31u)));
  var lower = (vec4u(turnWords[1]) << min(place, vec4u(31u))) | (vec4u(turnWords[2]) >> (vec4u(32u) - min(place, vec4u(31u))));
  if (any(place > vec4u(31u))) {
    for (var c = 0u; c < 4u; c++) {
      let both = turnBits(min(place[c], 134u));
      upper[c] = both.x;
      lower[c] = both.y;
    }
  }
  let high = lower >> vec4u(16u);
  let carried = ((high * (m >> vec4u(8u))) >> vec4u(8u)) + ((high * (m & vec4u(0xffu))) >> vec4u(16u))
    + (((lower & vec4u(0xffffu)) * (m >> vec4u(8u))) >> vec4u(24u));
  let turns = upper * m + carried;
  let near = size < vec4f(0.78539816);
  let quarter = select((turns + vec4u(0x20000000u)) >> vec4u(30u), vec4u(0u), near) + vec4u(quarters);
  let rest = select(vec4f(bitcast<vec4i>(turns << vec4u(2u))) * 3.657295198167899e-10, size, near);
  let rest2 = rest * rest;
  let sine = rest + rest * rest2 * (-1.6666654611e-1 + rest2 * (8.3321608736e-3 - rest2 * 1.9515295891e-4));
  let cosine = 1.0 - 0.5 * rest2
    + rest2 * rest2 * (4.166664568298827e-2 + rest2 * (-1.388731625493765e-3 + rest2 * 2.443315711809948e-5));
  let value = select(sine, cosine, (quarter & vec4u(1u)) != vec4u(0u));
  let turned = select(value, -value, (quarter & vec4u(2u)) != vec4u(0u));
  return select(turned, vec4f(nan()), bits >= vec4u(INFINITE));
}

fn sineOf(x: vec4f) -> vec4f {
  let value = wave(x, 0u);
  return select(value, -value, bitcast<vec4i>(x) < vec4i(0));
}

fn cosineOf(x: vec4f) -> vec4f {
  return wave(x, 1u);
}

// The angle of the point (x, y), as C has it of zeros and infinities.
fn arc(y: vec4f, x: vec4f) -> vec4f {
  let sizeX = abs(x);
  let sizeY = abs(y);
  let less = min(sizeX, sizeY);
  let more = max(sizeX, sizeY);
  // 0 / 0 and infinity / infinity lie on an axis and between two.
  let same = select(vec4f(1.0), vec4f(0.0), more == vec4f(0.0));
  let slope = select(less / more, same, bitcast<vec4u>(less) == bitcast<vec4u>(more));
  let steep = slope > vec4f(0.41421356);
  let t = select(slope, (slope - 1.0) / (slope + 1.0), steep);
  let t2 = t * t;
  let rest = t + t * t2 * (-3.33329491539e-1 + t2 * (1.99777106478e-1 + t2 * (-1.38776856032e-1 + t2 * 8.05374449538e-2)));
  var angle = select(rest, rest + 0.78539816339744831, steep);
  angle = select(angle, 1.5707963267948966 - angle, sizeY > sizeX);
  angle = select(angle, 3.1415926535897932 - angle, bitcast<vec4i>(x) < vec4i(0));
  angle = select(angle, -angle, bitcast<vec4i>(y) < vec4i(0));
  return select(angle, vec4f(nan()), areNan(x) | areNan(y));
}
