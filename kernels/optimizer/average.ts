// Exponential moving averages of weights (Polyak and Juditsky, 1992, as networks use it): what is evaluated wanders less than what
// is trained.
import type { Scalar, Tensor } from "../../engine/index.ts";
import { defineMap, runMap } from "../elementwise/map.ts";
import { requireFloat } from "../lib/items.ts";

const averageKernel = defineMap({
  name: "weight-average",
  operands: ["x"],
  value: "x + params.decay * (result - x)",
  params: { decay: "f32" },
  flops: 3,
  partial: true,
});

export const averageKernels = [averageKernel];

/** Averages of tensors, of the same shapes and dtypes, that begin as what these are now. */
export class WeightAverage {
  readonly averages: readonly Tensor[];

  /** @param decay how much of an average stays at each update; a Scalar may change in a captured step */
  constructor(
    private readonly tensors: readonly Tensor[],
    private readonly decay: number | Scalar = 0.999,
  ) {
    if (tensors.length > 0) requireFloat("WeightAverage", ...tensors);
    this.averages = tensors.map((tensor) => {
      const { engine, shape, dtype } = tensor;
      const average = engine.keep(engine.empty(shape, dtype));
      engine.copy(tensor, average);
      return average;
    });
  }

  /** average = decay · average + (1 - decay) · tensor, for each. */
  update(): void {
    this.averages.forEach((average, i) => {
      runMap(averageKernel, [this.tensors[i]!], average, { decay: this.decay });
    });
  }

  /** Exchanges tensors and averages: before an evaluation, and once more after it. */
  swap(): void {
    this.averages.forEach((average, i) => {
      const tensor = this.tensors[i]!;
      const { engine, shape, dtype } = tensor;
      const between = engine.empty(shape, dtype);
      engine.copy(tensor, between);
      engine.copy(average, tensor);
      engine.copy(between, average);
      between.dispose();
    });
  }

  /** Gives the memory of the averages back. */
  dispose(): void {
    for (const average of this.averages) average.dispose();
  }
}
