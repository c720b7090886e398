// Cases of what changes a tensor where it lies.
import type { DType, Engine } from "../engine/index.ts";
import { accumulateInto, clampInPlace } from "../kernels/elementwise/accumulate.ts";
import type { OpCase } from "./case.ts";

/** In place on a part of a copy, as the table's inputs must stay as they are, and what follows the part must as well. */
export function clampCase(size: number, part: number): OpCase {
  return {
    name: `clampInPlace ${part} of ${size} f32`,
    inputs: [{ name: "x", shape: [size], grad: false }],
    run: ([x], engine: Engine) => {
      const copy = engine.empty(x!.shape);
      engine.copy(x!, copy);
      clampInPlace(engine.slice(copy, 0, [part]), -0.5, 0.25);
      return copy;
    },
    reference: ([x]) => x!.map((value, i) => (i < part ? Math.min(Math.max(value, -0.5), 0.25) : value)),
  };
}

/** In place as well; the sum in f32 of an f16 value, where `from` is f16. */
export function accumulateCase(size: number, part: number, dtype: DType = "f32", from = dtype): OpCase {
  return {
    name: `accumulateInto ${part} of ${size} ${dtype}, ${from} value`,
    inputs: [
      { name: "target", shape: [size], dtype, grad: false },
      { name: "value", shape: [part], dtype: from, grad: false },
    ],
    run: ([target, value], engine: Engine) => {
      const copy = engine.empty(target!.shape, dtype);
      engine.copy(target!, copy);
      accumulateInto(engine.slice(copy, 0, [part]), value!);
      return copy;
    },
    reference: ([target, value]) => target!.map((sum, i) => (i < part ? sum + value![i]! : sum)),
  };
}
