// winner[o, i] = the first r where x[o, r, i] is the extreme y[o, i], or is NaN as that is. The smallest index wins, whoever
// comes first: the result is the same in every run. `winner` has the largest number there is before. Host side: reduce.ts.

fn make(index: u32) {
  let r = index / params.inner % params.extent;
  let at = index / params.inner / params.extent * params.inner + index % params.inner;
  let value = f32(x[index]);
  let extreme = f32(y[at]);
  if (value == extreme || (isNan(value) && isNan(extreme))) {
    atomicMin(&winner[at], r);
  }
}
