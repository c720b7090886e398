// A minimum is the maximum of numbers whose order is turned round: of the negatives of floats, of the complements of integers. What
// is turned twice is what it was. Constants: NEGATED.

fn turned(value: Wide) -> Wide {
  return bitcast<Wide>(bitcast<Bits>(value) ^ Bits(select(0u, TURNING, NEGATED)));
}

fn turnedOne(value: One) -> One {
  return bitcast<One>(bitcast<u32>(value) ^ select(0u, TURNING, NEGATED));
}
