// Steps that are recorded without being run: into a capture, or only to see what they come to, after which all that they
// changed on tensors from outside is as before.

import { withBlankStreams } from "../base/random.ts";
import type { CompiledKernel, PipelineCache } from "../gpu/pipelines.ts";
import { tensorsIn } from "../tensor/scopes.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Capture } from "./capture.ts";
import { Changes, type Diversion, nowhere } from "./diversion.ts";

/** What of its engine a step is taken down in. */
interface Host {
  diversion: Diversion;
  pipelines: PipelineCache;
  /** Bytes that one storage can have on the device. */
  largestStorage: number;
  /** Whether the adapter is the processor itself. */
  isSoftware: boolean;
}

/** A step that was taken down. */
export interface Taken<T> {
  capture: Capture;
  outputs: T;
  /** Those outputs that the step made. */
  own: readonly Tensor[];
  /** The gradients that the step makes, with their leaves. */
  gradients: { leaf: Tensor; grad: Tensor }[];
}

/** Records a step into a capture. Where it throws, all tensors from outside are as before. */
export function takeDown<T>(
  { diversion, pipelines, largestStorage, isSoftware }: Host,
  step: () => T,
): Taken<T> {
  const capture = new Capture(largestStorage, isSoftware);
  const changes = new Changes();
  try {
    const outputs = diversion.divert(capture, capture, changes, step);
    const own = tensorsIn(outputs).filter((tensor) => changes.made.has(tensor));
    const gradients = [...changes.leaves].flatMap((leaf) => (leaf.grad ? [{ leaf, grad: leaf.grad }] : []));
    changes.keep();
    capture.close(pipelines);
    return {
      ...{ capture, outputs, own },
      gradients: gradients.filter(({ grad }) => grad.storage.owner === capture),
    };
  } catch (error) {
    changes.undo();
    capture.end("was made by a captured step that failed");
    throw error;
  }
}

/**
 * Records a step on memory that is never there and takes back what it changed. With `compile`, the kernels that it needs
 * start to compile and are returned; `look` sees what was taken down before it is taken back.
 */
export function rehearse(
  { diversion, pipelines, largestStorage, isSoftware }: Host,
  step: () => unknown,
  compile: boolean,
  look: (capture: Capture) => void = () => {},
): readonly CompiledKernel[] {
  const capture = new Capture(largestStorage, isSoftware);
  const changes = new Changes();
  try {
    withBlankStreams(() => diversion.divert(compile ? capture : nowhere, capture, changes, step));
    if (compile) capture.close(pipelines);
    look(capture);
    return capture.kernels;
  } finally {
    changes.undo();
    capture.end("was made by a step that was only rehearsed");
  }
}
