// The k largest of each row, or of each part of a row: what beats the k-th best so far goes into a buffer in shared
// memory, and a buffer past its limit is sorted (bitonic) and cut to k, which gets rare as the bar rises (the idea of WarpSelect,
// Johnson et al., arXiv 1702.08734). Entries are ordered by value, then by lower index, a total order: the result does
// not depend on who comes first into the buffer. Host side: topk.ts. Constants: PARTS_IN.

const NOTHING = 0xffffffffu;
const TILE = 128u;
const CAPACITY = 512u;

var<workgroup> keys: array<u32, CAPACITY>;
var<workgroup> places: array<u32, CAPACITY>;
var<workgroup> filled: atomic<u32>;
var<workgroup> filledNow: u32;
// The k-th best entry, once there are k.
var<workgroup> barKey: u32;
var<workgroup> barPlace: u32;

// Keys order as values do, with NaN below everything and both zeros equal. The test for NaN is on bits, which no
// compiler's fast mathematics removes.
fn keyOf(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return 0u;
  }
  if ((bits & 0x7fffffffu) == 0u) {
    return 0x80000000u;
  }
  return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn scoreOf(key: u32) -> f32 {
  let bits = select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u);
  return bitcast<f32>(select(bits, 0x7fc00000u, key == 0u));
}

fn before(keyA: u32, placeA: u32, keyB: u32, placeB: u32) -> bool {
  return keyA > keyB || (keyA == keyB && placeA < placeB);
}

// Sorts the first `n` entries of the buffer and keeps k of them.
fn prune(id: u32, n: u32) {
  var size = 2u;
  while (size < n) {
    size *= 2u;
  }
  for (var i = n + id; i < size; i += LANES) {
    keys[i] = 0u;
    places[i] = NOTHING;
  }
  workgroupBarrier();
  for (var span = 2u; span <= size; span *= 2u) {
    for (var gap = span / 2u; gap > 0u; gap /= 2u) {
      for (var pair = id; pair < size / 2u; pair += LANES) {
        let low = pair / gap * gap * 2u + pair % gap;
        let high = low + gap;
        let descending = (low & span) == 0u;
        if (before(keys[high], places[high], keys[low], places[low]) == descending) {
          let key = keys[low];
          keys[low] = keys[high];
          keys[high] = key;
          let place = places[low];
          places[low] = places[high];
          places[high] = place;
        }
      }
      workgroupBarrier();
    }
  }
  if (id == 0u) {
    atomicStore(&filled, min(n, params.k));
    if (n >= params.k) {
      barKey = keys[params.k - 1u];
      barPlace = places[params.k - 1u];
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  let index = wg.y * GRID_X + wg.x;
  if (index >= params.count) {
    return;
  }
  let part = index % params.parts;
  let base = index / params.parts * params.extent;
  let end = min((part + 1u) * params.partSize, params.extent);
  if (id == 0u) {
    barPlace = NOTHING;
  }
  workgroupBarrier();
  var n = 0u;
  for (var tile = part * params.partSize; tile < end; tile += TILE) {
    for (var i = tile + id; i < min(tile + TILE, end); i += LANES) {
      let key = keyOf(f32(x[base + i]));
      var place = i;
      if (PARTS_IN) {
        place = indicesIn[base + i];
      }
      if (before(key, place, barKey, barPlace)) {
        let slot = atomicAdd(&filled, 1u);
        keys[slot] = key;
        places[slot] = place;
      }
    }
    workgroupBarrier();
    if (id == 0u) {
      filledNow = atomicLoad(&filled);
    }
    n = workgroupUniformLoad(&filledNow);
    if (n > params.limit) {
      prune(id, n);
      n = params.k;
    }
  }
  prune(id, n);
  for (var i = id; i < params.k; i += LANES) {
    values[index * params.k + i] = scoreOf(select(0u, keys[i], i < n));
    indices[index * params.k + i] = select(NOTHING, places[i], i < n);
  }
}
