// y = x with two axes exchanged: along one x is contiguous, along the other y. Each invocation turns a block of 4 x 4, so that
// both sides are read and written by vec4s; blocks that lie beside each other in x go together, so that what a cache fetched for
// one serves the others. Behind this text stands `offsets`, where a block begins in x and in y, written by strided.ts.
// Constants: DIMS, WITHIN, ACROSS.

fn make(i: u32) {
  let at = offsets(i) / 4u;
  let a = x[at.x];
  let b = x[at.x + params.xNext];
  let c = x[at.x + 2u * params.xNext];
  let d = x[at.x + 3u * params.xNext];
  y[at.y] = Vec(a.x, b.x, c.x, d.x);
  y[at.y + params.yNext] = Vec(a.y, b.y, c.y, d.y);
  y[at.y + 2u * params.yNext] = Vec(a.z, b.z, c.z, d.z);
  y[at.y + 3u * params.yNext] = Vec(a.w, b.w, c.w, d.w);
}
