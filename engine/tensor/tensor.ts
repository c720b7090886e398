// A tensor is a contiguous, row-major piece of a pooled buffer, with the autograd node that made it. Reshapes and
// slices of leading rows share the buffer; it goes back to the pool when the last tensor on it is disposed.

import { bytesPerElement, type DType, type HostArray } from "../base/dtype.ts";
import { TensorError } from "../base/errors.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import type { Engine } from "../engine.ts";
import { release, retain, type Storage } from "../gpu/storage.ts";
import type { Node } from "./autograd.ts";

export class Tensor {
  readonly size: number;
  /** The operation that made this tensor, where gradients flow through it. */
  node: Node | null = null;
  /** Whether `backward` brings a gradient here. */
  requiresGrad = false;
  /** The gradient after `backward`, for leaves with requiresGrad. */
  grad: Tensor | null = null;
  /** Whether `grad` is of an earlier pass: the next one overwrites it instead of adding to it. */
  gradIsOld = false;
  private live = true;

  /** Made by `Engine`, not by users. `offset` is in bytes. */
  constructor(
    readonly engine: Engine,
    readonly shape: Shape,
    readonly dtype: DType,
    readonly storage: Storage,
    readonly offset = 0,
  ) {
    this.size = sizeOf(shape);
    retain(storage);
  }

  /** Bytes of the elements. */
  get bytes(): number {
    return this.size * bytesPerElement[this.dtype];
  }

  get disposed(): boolean {
    return !this.live;
  }

  /** Gives the memory back; a second call does nothing. */
  dispose(): void {
    if (!this.live) return;
    this.live = false;
    this.node = null;
    release(this.storage);
  }

  /** Copies the elements to the host, in row-major order. f16 is widened. */
  read(): Promise<HostArray> {
    return this.engine.read(this);
  }

  /** The only element of a tensor of size 1. */
  item(): Promise<number> {
    if (this.size !== 1)
      return Promise.reject(new TensorError(`item() needs one element, the shape is [${this.shape}].`));
    return this.read().then((values) => values[0]!);
  }

  toString(): string {
    return `${this.dtype}[${this.shape}]`;
  }
}
