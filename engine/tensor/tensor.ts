// A tensor is a contiguous, row-major piece of a storage, with the operation that made it. Reshapes and slices of leading
// rows share the storage; it goes back when the last tensor on it is disposed. What tensors and operations need of an
// engine stands here too, as `Backend`: the kernels see no more of it, and neither they nor tensors know where work goes.

import { bytesPerElement, type DType, type HostArray } from "../base/dtype.ts";
import { TensorError } from "../base/errors.ts";
import { type Shape, sizeOf } from "../base/shape.ts";
import type { Grid } from "../gpu/commands.ts";
import type { Constants, Kernel, Lanes, ParamTypes, ParamValues } from "../gpu/kernel.ts";
import { retain, type Storage } from "../gpu/storage.ts";

/**
 * A shape and a dtype over a piece of GPU memory, contiguous and row by row. Made by an engine (`tensor`, `empty`, `zeros`,
 * `wrap`) and by operations; owns its memory until `dispose` or the end of the scope that it was made in.
 */
export class Tensor {
  readonly size: number;
  /** The operation that made this tensor, where gradients flow through it. */
  node: Node | null = null;
  /** Whether `backward` brings a gradient here. */
  requiresGrad = false;
  private gradient: Tensor | null = null;
  private gradientIsOld = false;
  private live = true;

  /** Made by the engine, not by users. `offset` is in bytes. */
  constructor(
    readonly engine: Backend,
    readonly shape: Shape,
    readonly dtype: DType,
    /** @internal */
    readonly storage: Storage,
    readonly offset = 0,
  ) {
    this.size = sizeOf(shape);
    retain(storage);
  }

  /** The gradient after `backward`, for leaves with requiresGrad. */
  get grad(): Tensor | null {
    return this.gradient;
  }

  set grad(grad: Tensor | null) {
    this.setGradient(grad, this.gradientIsOld);
  }

  /** Whether `grad` is of an earlier pass: the next one overwrites it instead of adding to it. */
  get gradIsOld(): boolean {
    return this.gradientIsOld;
  }

  set gradIsOld(old: boolean) {
    if (old !== this.gradientIsOld) this.setGradient(this.gradient, old);
  }

  /** A step that is only recorded may have to take this back. */
  private setGradient(grad: Tensor | null, old: boolean): void {
    const [gradBefore, oldBefore] = [this.gradient, this.gradientIsOld];
    this.gradient = grad;
    this.gradientIsOld = old;
    this.engine.noteGradient(this, () => {
      this.gradient = gradBefore;
      this.gradientIsOld = oldBefore;
    });
  }

  /**
   * The buffer that the elements lie in, from byte `byteOffset` on, for work of the app's own on the device: what it submits
   * after `Engine.sent` finds what was recorded before. It is the tensor's as long as that lives; the engine's buffers have
   * the usages STORAGE, COPY_SRC and COPY_DST. Throws TensorError where the tensor was disposed, and in a captured step.
   */
  get buffer(): GPUBuffer {
    this.requireLive();
    const { buffer } = this.storage;
    if (!buffer)
      throw new TensorError(`${this} is of a captured step, and has no buffer before that is ready.`);
    return buffer;
  }

  /** Where in `buffer` the elements begin. */
  get byteOffset(): number {
    return this.storage.base + this.offset;
  }

  /** Bytes of the elements. */
  get bytes(): number {
    return this.size * bytesPerElement[this.dtype];
  }

  /** Whether there is nothing to be had of this tensor any more: it, or the captured step that it is of, was disposed. */
  get disposed(): boolean {
    return !this.live || this.storage.ended !== null;
  }

  /** Throws TensorError, in which `subject` names this tensor, where it was disposed. */
  requireLive(subject = `${this}`): void {
    if (this.disposed) throw new TensorError(`${subject} ${this.storage.ended ?? "was disposed"}.`);
  }

  /** Gives the memory back; a second call does nothing. */
  dispose(): void {
    if (!this.live) return;
    const { node } = this;
    this.live = false;
    this.node = null;
    this.engine.letGo(this.storage, () => {
      this.live = true;
      this.node = node;
    });
  }

  /** Copies the elements to the host, in row-major order. f16 is widened. Throws as `Backend.read` does. */
  read(): Promise<HostArray> {
    return this.engine.read(this);
  }

  /** The only element of a tensor of size 1. Throws TensorError where there are more or fewer, and as `read` does. */
  item(): Promise<number> {
    if (this.size !== 1)
      return Promise.reject(new TensorError(`item() needs one element, the shape is [${this.shape}].`));
    return this.read().then((values) => values[0]!);
  }

  /** Dtype and shape, as errors name it: `f32[2,3]`. */
  toString(): string {
    return `${this.dtype}[${this.shape}]`;
  }
}

/** A recorded operation; the contract of `backward` heads autograd.ts. */
export interface Node {
  id: number;
  name: string;
  inputs: readonly Tensor[];
  /** Which inputs a gradient had to reach when this was recorded; a disposed tensor no longer tells. */
  tracked: readonly boolean[];
  backward: Backward | Checkpoint;
}

/** A rule as the head of autograd.ts says. */
export type Backward = (
  grad: Tensor,
  needs: readonly boolean[],
  earlier: Earlier,
) => readonly (Tensor | null)[];

/** The gradient that input `i` has from other nodes, or null. A rule that asks must add it to what it returns. */
export type Earlier = (i: number) => Tensor | null;

/** Instead of a rule: a part of the graph that was not kept. */
export interface Checkpoint {
  /** Runs the part again and calls `walk` with its output, whose graph ends at the node's inputs. */
  again(walk: (output: Tensor) => readonly Tensor[]): void;
}

/** How to run one kernel. */
export interface Run<P extends ParamTypes> {
  /** Tensors in the order of the kernel's bindings. */
  bind: readonly Tensor[];
  params: ParamValues<P>;
  /** Workgroups: [x, y, z], or a linear count that the kernel reads through GRID_X. */
  grid: Grid | number;
  /** What `Scalar` means in the WGSL; f32 unless told. */
  dtype?: DType;
  constants?: Constants;
}

/** What an op asks before it runs, where there are several kernels for it. */
export interface Choice<V extends string = string> {
  /** The op and all that its speed depends on, such as "matmul nt f32 512x512x1024". */
  key: string;
  /** The kernels behind the variants: once one of them is rewritten, what was measured before no longer counts. */
  kernels: readonly Kernel[];
  /** What can run here. The first is the rule's: it runs as long as nothing was measured, and when in doubt. */
  variants: readonly V[];
  /** The inputs of a trial, which `tune` fills with zeros. */
  inputs: readonly { shape: Shape; dtype: DType }[];
  /** Runs the op once by one variant. */
  run(variant: V, inputs: readonly Tensor[]): void;
}

/** What tensors and operations need of an engine. All but `read` return at once: work is recorded, in order. */
export interface Backend {
  readonly device: GPUDevice;
  readonly adapterInfo: GPUAdapterInfo;
  /** WGSL's language features that are known to be there. */
  readonly language: ReadonlySet<string>;
  readonly lanes: Lanes;
  /** How many groups of `lanes` a workgroup may have for one row: one where lanes are few, as those are a CPU's vectors. */
  readonly rowGroups: number;
  /** Whether operations record how to differentiate them; see `inference`. */
  readonly gradients: boolean;
  /** Whether tensors of f16 can be computed with. */
  readonly hasF16: boolean;

  /** A tensor with these values, in row-major order. Throws TensorError if their number does not fit the shape. */
  tensor(values: ArrayLike<number>, shape: Shape, dtype?: DType): Tensor;
  /** A tensor whose contents are undefined. Throws TensorError on a bad shape, DeviceError beyond the limits. */
  empty(shape: Shape, dtype?: DType): Tensor;
  /** A tensor of zeros. Throws as `empty` does. */
  zeros(shape: Shape, dtype?: DType): Tensor;
  /**
   * The same elements under another shape of the same size. Not differentiable: `reshape` of the kernels is.
   * Throws TensorError where the size is another.
   */
  view(tensor: Tensor, shape: Shape): Tensor;
  /**
   * `shape` elements from element `start` of `tensor`'s memory; the start must be a multiple of 256 bytes. Memory is
   * written in steps of four bytes: a slice of an odd number of f16 takes the element behind it along.
   * Throws TensorError where it begins or ends outside of the tensor, or is not so aligned.
   */
  slice(tensor: Tensor, start: number, shape: Shape): Tensor;
  /** Overwrites a tensor with host values, in order with the recorded work. Throws TensorError on another number of them. */
  write(tensor: Tensor, values: ArrayLike<number>): void;
  /** Fills a tensor with zeros. */
  clear(tensor: Tensor): void;
  /** Copies `from` over `to`, of the same size and dtype; they may be parts of one tensor, also overlapping ones. */
  copy(from: Tensor, to: Tensor): void;
  /**
   * Copies a tensor to the host. Rejects with what went wrong with the tensor or the work that it came from, with
   * DeviceLostError, and with DeviceError where the engine is disposed meanwhile; throws TensorError at once, where a
   * captured step or a checkpoint reads.
   */
  read(tensor: Tensor): Promise<HostArray>;
  /**
   * Records one run of a kernel. Throws TensorError on a disposed tensor, one of another engine or a wrong number of
   * bindings, KernelError on a grid beyond the device's limits.
   */
  run<P extends ParamTypes>(kernel: Kernel<P>, run: Run<P>): void;
  /** A linear count of workgroups as x and y of a grid, which kernels read as `wg.y * GRID_X + wg.x`. */
  fold(workgroups: number): [number, number];
  /** Gives `output` a place in the graph, where any input needs a gradient. Returns `output`. */
  record(name: string, output: Tensor, inputs: readonly Tensor[], backward: Node["backward"]): Tensor;
  /** Which variant of an op runs: its rule's, or the one that `tune` found fastest. */
  choose<V extends string>(choice: Choice<V>): V;
  /**
   * Runs `work` and disposes the tensors that it made, except those it returns, which pass to the scope around: itself, or
   * in an array or a plain object. It ends when `work` returns: a promise may tell of host values, such as those of a read
   * that has begun, but what an async function makes or uses after its first `await` is outside.
   */
  scope<T>(work: () => T): T;
  /** `scope` without recording gradients, so that nothing is kept for a backward pass. */
  inference<T>(work: () => T): T;
  /**
   * Runs `work` without keeping what it makes on the way to its result: backward runs it again for that, with the same
   * random streams, so values and gradients are the bits that they are without. It trades time, about that of `work`,
   * for memory. Nesting and capture work; without gradients it is `scope`. `work` must give the same result each time,
   * must not be async or read anything, and what it uses must live until backward.
   * Throws TensorError where `work` returns no tensor or reads one.
   */
  checkpoint(work: () => Tensor): Tensor;
  /** Takes a tensor out of all scopes; the caller disposes it. Returns the tensor. */
  keep(tensor: Tensor): Tensor;
  /** Whether a gradient can be added to: not where it was disposed, or is that of another captured step, which makes it anew. */
  canAccumulate(grad: Tensor): boolean;
  /** Told of a change to a leaf's gradient, and how it is taken back where a step is only rehearsed. */
  noteGradient(leaf: Tensor, undo: () => void): void;
  /** A tensor lets go of its storage; `undo` has it again, where a step is only rehearsed. */
  letGo(storage: Storage, undo: () => void): void;
}
