// A tensor that has a shape and a dtype, and nothing else: it stands for one while somebody takes down what is computed.
import type { DType } from "../base/dtype.ts";
import type { Shape } from "../base/shape.ts";
import { type Owner, Storage } from "../gpu/storage.ts";
import { type Backend, Tensor } from "./tensor.ts";

const nobody: Owner = { reuses: false, planned: false, give() {} };

/** Every operation that asks for its elements throws a TensorError: this tensor `why`, such as "stands for a number". */
export class Placeholder extends Tensor {
  constructor(engine: Backend, shape: Shape, dtype: DType, why: string) {
    const storage = new Storage(0, 0, nobody);
    storage.ended = why;
    super(engine, shape, dtype, storage);
  }
}
