// How a query that does not attend to its picture is made of two embeddings: CASE's rivals that fuse late. Each takes what
// the two projections gave, not normalised. The mean of the two is a yardstick of the paper; the gate is TIRG's (Vo et
// al., "Composing Text and Image for Image Retrieval", CVPR 2019), the combiner is that of Baldrati et al., "Effective
// conditioned and composed image retrieval combining CLIP-based features" (CVPR 2022).
import type { Tensor } from "../engine/index.ts";
import { add, mul, sub } from "../kernels/elementwise/arithmetic.ts";
import { fuse } from "../kernels/elementwise/fuse.ts";
import { relu, sigmoid } from "../kernels/elementwise/unary.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { concat } from "../kernels/shape/slice.ts";
import type { ModelConfig } from "./config.ts";
import { activatedFeedForward } from "./feed-forward.ts";
import { initials } from "./initial.ts";
import { linearSpecs, type ParameterSpec, type Parameters } from "./parameters.ts";

type Fusion = ModelConfig["fusion"];

interface Composer {
  /** What it learns beside the projections. */
  specs: (config: ModelConfig) => ParameterSpec[];
  /** [queries, projection] of texts and of their reference pictures, each [queries, projection], to one vector each. */
  compose: (parameters: Parameters, text: Tensor, reference: Tensor) => Tensor;
}

const root = "composition";

/** A layer of the parameters. */
const layer = (parameters: Parameters, name: string) => parameters.layer(`${root}.${name}`);

const dense = (parameters: Parameters, name: string, x: Tensor) => {
  const { weight, bias } = layer(parameters, name);
  return linear(x, weight, { bias });
};

/** W2 relu(W1 x + b1) + b2, of layers `name`.1 and `name`.2. */
const perceptron = (parameters: Parameters, name: string, x: Tensor) =>
  activatedFeedForward("relu", x, layer(parameters, `${name}.1`), layer(parameters, `${name}.2`));

const perceptronSpecs = (
  config: ModelConfig,
  name: string,
  outputs: number,
  hidden: number,
  inputs: number,
) => {
  const { weight } = initials(config);
  return [
    ...linearSpecs(`${root}.${name}.1`, hidden, inputs, weight),
    ...linearSpecs(`${root}.${name}.2`, outputs, hidden, weight),
  ];
};

/** The sum, which is the mean once normalised; the lengths of the two are learnt with their projections. */
const mean: Composer = {
  specs: () => [],
  compose: (_parameters, text, reference) => add(text, reference),
};

const gatedSum = fuse(
  (gate: Tensor, reference: Tensor, gateShare: Tensor, residual: Tensor, residualShare: Tensor) =>
    add(mul(mul(sigmoid(gate), reference), gateShare), mul(residual, residualShare)),
);

/** m + s t + (1 - s) x */
const mixedSum = fuse((mixture: Tensor, share: Tensor, text: Tensor, reference: Tensor) =>
  add(mixture, add(mul(sigmoid(share), sub(text, reference)), reference)),
);

/**
 * TIRG, equations 1 to 3: w_g · sigmoid(W_g2 relu(W_g1 [x, t])) ⊙ x + w_r · W_r2 relu(W_r1 [x, t]), x of the picture. Its
 * batch norms are left out, as what a batch is encoded in parts of must not show.
 */
const gate: Composer = {
  specs: (config) => {
    const { projection } = config;
    const one = { constant: 1 };
    return [
      ...perceptronSpecs(config, "gate", projection, 2 * projection, 2 * projection),
      ...perceptronSpecs(config, "residual", projection, 2 * projection, 2 * projection),
      { name: `${root}.gate.share`, shape: [1], initial: one },
      { name: `${root}.residual.share`, shape: [1], initial: one },
    ];
  },
  compose: (parameters, text, reference) => {
    const both = concat([reference, text], 1);
    const share = (name: string) => parameters.get(`${root}.${name}.share`);
    return gatedSum(
      perceptron(parameters, "gate", both),
      reference,
      share("gate"),
      perceptron(parameters, "residual", both),
      share("residual"),
    );
  },
};

/**
 * The combiner: f = [relu(A t), relu(B x)], a share s = sigmoid(W_2 relu(W_1 f)), and V_2 relu(V_1 f) + s t + (1 - s) x.
 * Its inner widths are 2 and 4 times the projection's, where CLIP's combiner has 4 and 8 times that of its features.
 */
const combiner: Composer = {
  specs: (config) => {
    const { projection } = config;
    const { weight } = initials(config);
    const inner = 2 * projection;
    return [
      ...linearSpecs(`${root}.text`, inner, projection, weight),
      ...linearSpecs(`${root}.reference`, inner, projection, weight),
      ...perceptronSpecs(config, "mixture", projection, 2 * inner, 2 * inner),
      ...perceptronSpecs(config, "share", 1, 2 * inner, 2 * inner),
    ];
  },
  compose: (parameters, text, reference) => {
    const both = concat(
      [relu(dense(parameters, "text", text)), relu(dense(parameters, "reference", reference))],
      1,
    );
    return mixedSum(
      perceptron(parameters, "mixture", both),
      perceptron(parameters, "share", both),
      text,
      reference,
    );
  },
};

const composers: Partial<Record<Fusion, Composer>> = { late: mean, gate, combiner };

/** How the two embeddings of a query become one; null where there is one alone, text that may attend to the picture. */
export function composerOf(fusion: Fusion): Composer | null {
  return composers[fusion] ?? null;
}

/** Whether the text attends to the picture's tokens in every layer. */
export function attendsToPicture(fusion: Fusion): boolean {
  return fusion === "early" || fusion === "image";
}
