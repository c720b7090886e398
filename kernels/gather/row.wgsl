// The row that an id names. Those of i32 below 0 count from the end: as u32 they are far beyond it, and the sum goes round.
// Constants: SIGNED.

fn rowOf(id: u32) -> u32 {
  return select(id, id + params.rows, SIGNED && id > 0x7fffffffu);
}
