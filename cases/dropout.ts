// Cases of dropout against the same random numbers on the host.
import { type DType, type RandomKey, uniform } from "../engine/index.ts";
import { dropout } from "../kernels/elementwise/dropout.ts";
import type { OpCase } from "./case.ts";

const usualKey = { key: 0x9e3779b1, stream: 7 };

export function dropoutCase(
  shape: number[],
  probability: number,
  dtype: DType = "f32",
  key: RandomKey = usualKey,
): OpCase {
  const kept = (i: number) => (uniform(key, i) >= Math.fround(probability) ? 1 / (1 - probability) : 0);
  return {
    name: `dropout ${probability} ${shape.join("x")} ${dtype}`,
    inputs: [{ name: "x", shape, dtype }],
    run: ([x]) => dropout(x!, probability, key),
    reference: ([x]) => x!.map((value, i) => value * kept(i)),
    gradients: (_, dy) => [dy.map((incoming, i) => incoming * kept(i))],
  };
}

export const dropoutCases: OpCase[] = [
  dropoutCase([7, 9], 0.1),
  dropoutCase([3, 5, 250], 0.5),
  dropoutCase([40, 33], 0),
  dropoutCase([9, 11], 0.25, "f16"),
  dropoutCase([1], 0.1),
];
