// A minimum is the negative of the maximum of negatives. Constants: NEGATED.

fn signedItem(item: In) -> Wide {
  return select(Wide(item), -Wide(item), NEGATED);
}
