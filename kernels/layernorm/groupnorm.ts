// Group normalisation (Wu and He, arXiv 1803.08494): a group of channels of one picture is a row of layernorm, and each channel
// then has a scale and a shift of its own. With a group for each channel it is instance normalisation.
import { type Tensor, TensorError } from "../../engine/index.ts";
import { add, mul } from "../elementwise/arithmetic.ts";
import { filled } from "../elementwise/strided.ts";
import { reshape } from "../shape/reshape.ts";
import { layernorm } from "./layernorm.ts";

/**
 * gamma · (x - mean) / sqrt(variance + eps) + beta over `groups` groups of channels of each picture: `x` is [B, C, ...],
 * `gamma` and `beta` are [C]; all f32 or all f16. `eps` is 1e-5 unless told. Throws TensorError where shapes or dtypes do not fit.
 */
export function groupnorm(
  x: Tensor,
  groups: number,
  gamma: Tensor,
  beta: Tensor,
  options: { eps?: number } = {},
): Tensor {
  const { engine, shape, dtype, size } = x;
  const [batch = 0, channels = 0, ...places] = shape;
  if (shape.length < 2 || !Number.isInteger(groups) || groups < 1 || channels % groups !== 0)
    throw new TensorError(`groupnorm: [${shape}] has no channels of ${groups} groups.`);
  if (gamma.size !== channels || beta.size !== channels)
    throw new TensorError(
      `groupnorm: gamma [${gamma.shape}] or beta [${beta.shape}] does not fit ${channels} channels.`,
    );
  const rows = batch * groups;
  const length = rows > 0 ? size / rows : 0;
  const ones = filled(engine, [length], 1, dtype);
  const plain = layernorm(reshape(x, [rows, length]), ones, engine.zeros([length], dtype), options);
  const each = (value: Tensor) => reshape(value, [channels, ...places.map(() => 1)]);
  return add(mul(reshape(plain, shape), each(gamma)), each(beta));
}
