// Cases of dropout against the same random numbers on the host.
import { type DType, uniform } from "../../engine/index.ts";
import { dropout, dropoutAdd } from "../../kernels/dropout/dropout.ts";
import type { OpCase } from "./case.ts";

const key = { key: 0x9e3779b1, stream: 7 };

function dropoutCase(shape: number[], probability: number, residual: boolean, dtype: DType = "f32"): OpCase {
  const kept = (i: number) => (uniform(key, i) >= Math.fround(probability) ? 1 / (1 - probability) : 0);
  return {
    name: `dropout${residual ? " add" : ""} ${probability} ${shape.join("x")} ${dtype}`,
    inputs: [{ name: "x", shape, dtype }, ...(residual ? [{ name: "residual", shape, dtype }] : [])],
    run: ([x, other]) => (other ? dropoutAdd(x!, other, probability, key) : dropout(x!, probability, key)),
    reference: ([x, other]) => x!.map((value, i) => value * kept(i) + (other?.[i] ?? 0)),
    gradients: (_, dy) => [dy.map((incoming, i) => incoming * kept(i)), ...(residual ? [dy] : [])],
  };
}

export const dropoutCases: OpCase[] = [
  dropoutCase([7, 9], 0.1, false),
  dropoutCase([3, 5, 100], 0.5, true),
  dropoutCase([40, 33], 0, false),
  dropoutCase([9, 11], 0.25, true, "f16"),
  dropoutCase([1], 0.1, true),
];
