// Group normalisation (Wu and He, arXiv 1803.08494): a group of channels of one picture is a row of layernorm, and each channel
// has a scale and a shift of its own. With a group for each channel it is instance normalisation.
import { gradientDType, type Tensor, TensorError } from "../../engine/index.ts";
import { floatsIn } from "../elementwise/cast.ts";
import { divisions, divisorTypes, divisorValues } from "../lib/division.ts";
import { defineByWidth, requireFloat } from "../lib/items.ts";
import { kernelsIn } from "../lib/kernels-in.ts";
import { eachRow, heldGroups, rowGroups } from "../lib/rows.ts";
import { perElement } from "../lib/work.ts";
import affineSource from "./groupnorm-affine.wgsl?raw";
import { defineNorm } from "./layernorm.ts";
import channelsSource from "./scale-channels.wgsl?raw";

const norm = defineNorm("groupnorm", {
  type: "Scalar",
  scale: [divisions("groups", "plane"), channelsSource],
  shift: "fn shiftOf(row: u32, i: u32) -> Wide { return Wide(f32(beta[channelOf(row, i)])); }",
  // Groups of a picture, and items of a channel; channels of a group.
  params: { ...divisorTypes("groups", "plane"), own: "u32" },
});
const affineKernel = defineByWidth({
  name: "groupnorm-affine",
  source: affineSource,
  includes: eachRow,
  bindings: ["x: In", "moments: vec3f", "dy: In", "+dGamma: f32", "+dBeta: f32"],
  params: {
    // Channels; items of one in a picture; channels of a group; groups of a picture.
    ...{ rows: "u32", plane: "u32", own: "u32", groups: "u32" },
    pictures: "u32",
  },
  flops: perElement("x", 6),
});

export const groupnormKernels = kernelsIn(() => [
  ...norm.forward.all,
  ...norm.backward.all,
  ...affineKernel.all,
]);

/**
 * gamma · (x - mean) / sqrt(variance + eps) + beta over `groups` groups of channels of each picture: `x` is [B, C, ...],
 * `gamma` and `beta` are [C]; all f32 or all f16. `eps` is 1e-5 unless told. Throws TensorError where shapes or dtypes do not fit.
 */
export function groupnorm(
  x: Tensor,
  groups: number,
  gamma: Tensor,
  beta: Tensor,
  { eps = 1e-5 }: { eps?: number } = {},
): Tensor {
  const { engine, shape, dtype, size } = x;
  const [pictures = 0, channels = 0] = shape;
  requireFloat("groupnorm", x, gamma, beta);
  if (shape.length < 2 || !Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
    throw new TensorError(`groupnorm: [${shape}] has no channels of ${groups} groups.`);
  if (gamma.size !== channels || beta.size !== channels)
    throw new TensorError(
      `groupnorm: gamma [${gamma.shape}] or beta [${beta.shape}] does not fit ${channels} channels.`,
    );
  const rows = pictures * groups;
  const own = channels / groups;
  // Elements of a channel of a picture, and its items.
  const places = size / Math.max(1, pictures * channels);
  const plane = places % 4 === 0 ? places / 4 : places;
  const held = heldGroups(engine, own * plane);
  const random = { key: 0, stream: 0, probability: 0, keptScale: 1 };
  const shared = { rows, length: own * plane, own, ...divisorValues({ groups, plane }), ...random };
  const y = engine.empty(shape, dtype);
  const moments = engine.empty([rows, 4]);
  // Where nothing is written or read.
  const none = engine.empty([4], dtype);
  engine.run(norm.forward.of(places), {
    bind: [x, x, gamma, beta, none, y, moments],
    params: { ...shared, eps },
    grid: rows,
    dtype,
    constants: { ROWS: 1, HAS_RESIDUAL: false, DROPOUT: false, ...held, CENTRED: true },
  });
  none.dispose();
  return engine.record("groupnorm", y, [x, gamma, beta], (dy, needs, earlierOf) => {
    const earlier = earlierOf(0);
    const dx = needs[0] ? engine.empty(shape, dtype) : null;
    if (dx)
      engine.run(norm.backward.of(places), {
        bind: [x, gamma, moments, dy, earlier ?? dy, dx, engine.empty([4], dtype), engine.empty([4])],
        params: { ...shared, blockRows: 1, hasEarlier: earlier ? 1 : 0, affine: 0 },
        grid: rows,
        dtype,
        constants: { BLOCK: 1, DROPOUT: false, GROUPS: held.GROUPS, CENTRED: true },
      });
    if (!needs[1] && !needs[2]) return [dx, null, null];
    const [dGamma, dBeta] = [engine.empty([channels]), engine.empty([channels])];
    engine.run(affineKernel.of(places), {
      bind: [x, moments, dy, dGamma, dBeta],
      params: { rows: channels, plane, own, groups, pictures },
      grid: channels,
      dtype,
      constants: { GROUPS: rowGroups(engine, plane) },
    });
    return [dx, floatsIn(dGamma, gradientDType(gamma)), floatsIn(dBeta, gradientDType(beta))];
  });
}
