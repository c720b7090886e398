// Timing the variants of the choices that a step comes to, on tensors of zeros of its shapes.

import type { Backend, Choice, Tensor } from "../tensor/tensor.ts";
import { type Choices, type Tuned, timeVariants } from "./choices.ts";

/** What trials need of an engine. */
export interface Bench extends Backend {
  idle(): Promise<void>;
}

/** Times what nothing is known for among the choices that `rehearse` comes to, and keeps the fastest of each. */
export async function runTrials(engine: Bench, choices: Choices, rehearse: () => void): Promise<Tuned[]> {
  const measured: { choice: Choice; tuned: Tuned }[] = [];
  for (const choice of choices.note(rehearse)) {
    const inputs: Tensor[] = [];
    try {
      for (const { shape, dtype } of choice.inputs) inputs.push(engine.keep(engine.zeros(shape, dtype)));
      // The braces matter: a scope would pass on what it returns.
      const run = (variant: string) =>
        engine.inference(() => {
          choice.run(variant, inputs);
        });
      const { variant, milliseconds } = await timeVariants(choice.variants, run, () => engine.idle());
      measured.push({ choice, tuned: { key: choice.key, variant, milliseconds } });
    } finally {
      for (const tensor of inputs) tensor.dispose();
    }
  }
  if (measured.length > 0)
    await choices.keep(measured.map(({ choice, tuned }) => ({ choice, variant: tuned.variant })));
  return measured.map(({ tuned }) => tuned);
}
