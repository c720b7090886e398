// Cases of optimisers and of averages of weights: several steps over two groups of parameters, each with a learning rate and a
// decay of its own, clipped together; what is left in float64.
import type { DType, Engine, Tensor } from "../engine/index.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { WeightAverage } from "../kernels/optimizer/average.ts";
import { Lion } from "../kernels/optimizer/lion.ts";
import type { Flat, Optimizer } from "../kernels/optimizer/optimizer.ts";
import { SGD } from "../kernels/optimizer/sgd.ts";
import { concat } from "../kernels/shape/slice.ts";
import type { Input, OpCase } from "./case.ts";

/** A parameter, and what an optimiser keeps of it. */
interface State {
  p: number;
  m: number;
  v: number;
}

interface Rule {
  make(engine: Engine, flats: readonly Flat[]): Optimizer;
  step(state: State, gradient: number, rate: number, decay: number, step: number): State;
}

const lossScale = { initial: 1 };
const descent = (momentum: number, nesterov = false): Rule => ({
  make: (engine, flats) => new SGD(engine, flats, { momentum, nesterov, weightDecay: 0.1, lossScale }),
  step: ({ p, m, v }, g, rate, decay) => {
    const slope = g + decay * p;
    const velocity = momentum * m + slope;
    return { p: p - rate * (nesterov ? slope + momentum * velocity : velocity), m: velocity, v };
  },
});
const rules: Record<string, Rule> = {
  AdamW: {
    make: (engine, flats) => new AdamW(engine, flats, { weightDecay: 0.1, beta2: 0.98, lossScale }),
    step: ({ p, m, v }, g, rate, decay, t) => {
      const [first, second] = [0.9 * m + 0.1 * g, 0.98 * v + 0.02 * g * g];
      const length = Math.sqrt(second / (1 - 0.98 ** t)) + 1e-8;
      return { p: p * (1 - rate * decay) - ((rate / (1 - 0.9 ** t)) * first) / length, m: first, v: second };
    },
  },
  SGD: descent(0),
  "SGD momentum": descent(0.9),
  "SGD Nesterov": descent(0.8, true),
  Lion: {
    make: (engine, flats) =>
      new Lion(engine, flats, { beta1: 0.8, beta2: 0.95, weightDecay: 0.1, lossScale }),
    step: ({ p, m, v }, g, rate, decay) => ({
      p: p * (1 - rate * decay) - rate * Math.sign(0.8 * m + 0.2 * g),
      m: 0.95 * m + 0.05 * g,
      v,
    }),
  },
};

const steps = 3;
const learningRate = (step: number) => 0.02 / step;
const [gradientScale, maxNorm] = [0.5, 2];
/** Of the second group; the first has the optimiser's. */
const other = { rate: 3, weightDecay: 0.5 };

const f32 = (name: string, size: number): Input => ({ name, shape: [size], grad: false });

/**
 * @param sizes of the groups
 * @param decayEnd where the first group's decay ends
 * @param mixed with copies in f16, which are the result
 */
export function optimizerCase(op: string, sizes: [number, number], decayEnd: number, mixed = false): OpCase {
  const { make, step: stepOf } = rules[op]!;
  return {
    name: `${op} ${sizes.join(",")}${mixed ? " mixed f16" : " f32"}`,
    inputs: [
      ...sizes.map((size, i) => f32(`parameters ${i}`, size)),
      ...Array.from({ length: steps }, (_, t) =>
        sizes.map((size, i) => f32(`gradient ${i} of ${t}`, size)),
      ).flat(),
    ],
    ...(mixed && { half: true, tolerance: 5e-3 }),
    run: (tensors, engine) => {
      const flats = sizes.map((size, i): Flat => {
        const values = engine.empty([size]);
        engine.copy(tensors[i]!, values);
        const copy = mixed ? { copy: engine.zeros([size], "f16") } : {};
        const own = i === 0 ? { decayEnd } : { ...other, decayEnd: size };
        return { values, gradient: engine.zeros([size]), ...copy, ...own };
      });
      const optimizer = make(engine, flats);
      for (let step = 1; step <= steps; step++) {
        flats.forEach(({ gradient }, i) => {
          engine.copy(tensors[2 * step + i]!, gradient);
        });
        optimizer.advance(learningRate(step));
        optimizer.update({ gradientScale, maxNorm });
      }
      optimizer.dispose();
      return concat(flats.map(({ values, copy }) => (copy ? cast(copy, "f32") : values)));
    },
    reference: (given) => {
      const states = sizes.map((_, i) => Array.from(given[i]!, (p): State => ({ p, m: 0, v: 0 })));
      for (let step = 1; step <= steps; step++) {
        const gradients = sizes.map((_, i) => given[2 * step + i]!);
        const squares = gradients.flatMap((gradient) => [...gradient]).reduce((sum, g) => sum + g * g, 0);
        const scale = gradientScale * Math.min(1, maxNorm / (gradientScale * Math.sqrt(squares) + 1e-6));
        states.forEach((group, i) => {
          const rate = learningRate(step) * (i === 0 ? 1 : other.rate);
          group.forEach((state, j) => {
            const decay = i === 1 ? other.weightDecay : j < decayEnd ? 0.1 : 0;
            group[j] = stepOf(state, gradients[i]![j]! * scale, rate, decay, step);
          });
        });
      }
      return Float64Array.from(states.flat(), ({ p }) => p);
    },
  };
}

/** Averages after two updates, of a tensor that was another at first. */
function averageCase(sizes: [number, number], dtype: DType): OpCase {
  const names = ["first", "second", "third"];
  const written = (engine: Engine, from: Tensor[], to: Tensor[]) =>
    to.forEach((tensor, i) => {
      engine.copy(from[i]!, tensor);
    });
  return {
    name: `WeightAverage ${sizes.join(",")} ${dtype}`,
    inputs: names.flatMap((name) =>
      sizes.map((size, i) => ({ name: `${name} ${i}`, shape: [size], dtype, grad: false })),
    ),
    run: (tensors, engine) => {
      const weights = sizes.map((size) => engine.empty([size], dtype));
      written(engine, tensors, weights);
      const average = new WeightAverage(weights, 0.75);
      for (const step of [1, 2]) {
        written(engine, tensors.slice(2 * step), weights);
        average.update();
      }
      const y = concat(average.averages);
      average.dispose();
      return y;
    },
    reference: (given) => {
      const [first, second, third] = [0, 1, 2].map((t) => [...given[2 * t]!, ...given[2 * t + 1]!]);
      return Float64Array.from(first!, (a, i) => 0.75 * (0.75 * a + 0.25 * second![i]!) + 0.25 * third![i]!);
    },
  };
}

export const optimizerCases: OpCase[] = [
  ...Object.keys(rules).flatMap((op) => [
    optimizerCase(op, [5003, 37], 1024),
    optimizerCase(op, [37, 2050], 4, true),
  ]),
  optimizerCase("AdamW", [1, 3], 1),
  optimizerCase("AdamW", [6, 0], 4),
  averageCase([5003, 7], "f32"),
  averageCase([1, 0], "f32"),
  averageCase([9, 31], "f16"),
];
