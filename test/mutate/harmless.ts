// Faults that were looked at one by one and change no result: equal by construction, or a matter of speed. Each is named as
// main.ts prints it, without the line's number. They are drawn, told and not counted.
export const harmless: Readonly<Record<string, string>> = {
  // Equal by construction
  "kernels/backward.ts: } else if ([-`${grad.shape}` !== `${parameter.shape}`-]{+true+}) {":
    "a view of the same shape is the same tensor under another handle",
  "kernels/matmul/quads-odd.wgsl: return select(vec4f([-0.0-]{+1.0+}), vec4f(vec4<Scalar>(b[i.x], b[i.y], b[i.z], b[i.w])), inside(left));":
    "terms of b beyond the last meet zeros of a, columns beyond the last are not stored",
  "kernels/matmul/product.wgsl: let quad = min(column, (params.n - 1u) / 4u * [-4u-]{+5u+});":
    "it only moves reads of columns that are not stored",
  "kernels/topk/topk.wgsl: var n = [-0u-]{+1u+};": "every workgroup has a tile, which sets it",
  "kernels/optimizer/square-sum.wgsl: if (id == [-0u-]{+1u+}) {":
    "any one invocation may store: the sum is in workgroup memory behind a barrier",
  "train/objective/contrastive.wgsl: if (lane [-==-]{+!=+}0u) {":
    "all lanes have the row's loss, and store the same",
  "engine/run/recorder.ts: if (values.byteLength > [-0-]{+1+}) this.session.device.queue.writeBuffer(params, 0, values);":
    "parameters are words of four bytes",
  "kernels/attention/attention.ts: stream: dropout?.key.stream ?? [-0-]{+1+},":
    "without dropout nothing is drawn",
  "kernels/attention/rows.wgsl: let inside = key [-<-]{+<=+}params.keys;":
    "keys that pass are all there, and a row of one's own behind the last is not stored",
  "kernels/attention/attention.ts: kOffset: [-0-]{+1+},":
    "a quarter of a vec4, which the kernels' parameter has no room for",
  "kernels/attention/attention-forward.wgsl: statistics[group * params.queries + row] = vec2f(lse, [-0.0-]{+1.0+});":
    "attention-dq.wgsl writes the second before anyone reads it",
  "kernels/attention/rows.wgsl: for (var e = [-1u-]{+0u+}; e < QUADS; e++) {":
    "the first is taken once more where it was taken before",
  "kernels/elementwise/strided.ts: dims.slice(0, [---]{++}1).every(grouped);":
    "where the innermost dimension is whole vec4s, so are the strides of all others of a contiguous tensor",
  "kernels/elementwise/binary.ts: dims.slice(0, -[-1-]{+2+}).every(grouped);": "the same",
  "kernels/topk/topk.wgsl: barPlace = places[params.[-k-]{+limit+}- 1u];":
    "places that come later are larger than all that are kept, so that no tie gets in either way",
  "train/profile/peak/copy.wgsl: let end = min(first + [-1024u-]{+1023u+}, params.quads);":
    "the sixteenth step of 64 begins at 960",
  "kernels/attention/attention.ts: for (let row = 0; row [-<-]{+<=+}kvRows; row++) starts[row + 1]! += starts[row]!;":
    "an array of numbers takes no element behind its end",
  "kernels/normalize/normalize.ts: export function normalize(x: Tensor, eps = [-1e-12-]{+1.25e-12+}): Tensor {":
    "no vector that f32 tells from zero is that short",
  "engine/run/program.ts: return parts.map((part) => ({ sent, part, estimate: estimate / parts.length, slot: [-0-]{+1+}}));":
    "each gets its slot when all are known",
  // Speed or room
  "engine/gpu/wait.ts: Atomics.wait(cell, 0, [-0-]{+1+}, Math.min(longest, (performance.now() - changed) * share));":
    "the thread does not nap between looks at the device",
  "engine/engine.ts: const wanted = this.isSoftware && !this.options.device ? threads [---]{+++}1 : 0;":
    "two devices more compile at once",
  "engine/gpu/pool.ts: const step = Math.max(256, 2 ** (Math.floor(Math.log2(bytes)) - [-3-]{+4+}));":
    "size classes half as far apart: less padding, fewer buffers used again",
  "engine/gpu/wait.ts: const share = 1 [-/-]{+*+}16;": "how long the thread naps between looks at the device",
  "engine/gpu/pace.ts: private lastEnd = [-0-]{+1+};": "a millisecond of the first measurement",
};
