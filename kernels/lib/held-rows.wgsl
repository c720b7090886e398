// Rows that stay in registers, so that they are read once, and all of an invocation's loads are under way together: it has HELD
// items of each of ROWS rows at most, number k of them at lane + k WORKERS. With HELD 0, where rows are too long for that or lanes are
// few (a CPU's registers hold no row), they are read as often as they are used. Stands behind `rowLanes`; a kernel says what an item is,
// `Held`. Host side: rows.ts. Constants: ROWS, HELD.

const SLOTS = max(HELD, 1u);
var<private> held: array<Held, ROWS * SLOTS>;

// Whether an invocation goes on to item k, of rows of so many; one that is HELD may lie beyond the row.
fn goesOn(k: u32, items: u32) -> bool {
  if (HELD > 0u) {
    return k < HELD;
  }
  return lane + k * WORKERS < items;
}
