// The graph while it grows: which operations get a node, and which parts are left out of it until backward.
//
// Checkpointing (Chen et al., "Training deep nets with sublinear memory cost", arXiv 1604.06174) keeps of a part of the
// graph only its inputs. When backward comes there, the part is run again and walked through as if it had been there:
// in the same order, with the same sums, so that the gradients are the same bits.

import { TensorError } from "../base/errors.ts";
import { noteStreams, type RandomKey, repeatStreams } from "../base/random.ts";
import { startsOf, tracked } from "./autograd.ts";
import { refusePromise } from "./scopes.ts";
import { type Node, Tensor } from "./tensor.ts";

export class Graph {
  /** Whether operations are recorded. */
  recording = true;
  private nextNode = 1;
  /** Checkpoints that are being run. */
  private running = 0;

  /** Runs `work` without recording. */
  pause<T>(work: () => T): T {
    const before = this.recording;
    this.recording = false;
    try {
      return work();
    } finally {
      this.recording = before;
    }
  }

  /** As `Backend.record`. */
  record(name: string, output: Tensor, inputs: readonly Tensor[], backward: Node["backward"]): Tensor {
    const flags = inputs.map(tracked);
    if (flags.includes(true)) output.node = { id: this.nextNode++, name, inputs, tracked: flags, backward };
    return output;
  }

  /** As `Engine.checkpoint`, with the engine's scope. */
  checkpoint(work: () => Tensor, scope: <T>(work: () => T) => T): Tensor {
    if (!this.recording) return scope(() => requireTensor(work()));
    const first = this.nextNode;
    const drawn: RandomKey[] = [];
    const run = () => {
      this.running++;
      try {
        return requireTensor(work());
      } finally {
        this.running--;
      }
    };
    let inputs: Tensor[] = [];
    const result = scope(() => {
      const output = noteStreams(drawn, run);
      if (output.node && output.node.id >= first) inputs = startsOf(output, first);
      return output;
    });
    if (inputs.length === 0) return result;
    result.node = null;
    return this.record("checkpoint", result, inputs, {
      again: (walk) => {
        scope(() => walk(repeatStreams(drawn, run)));
      },
    });
  }

  /** Throws TensorError inside of a checkpoint, whose function must not do this: it runs again. */
  refuse(what: string): void {
    if (this.running > 0) throw new TensorError(`checkpoint: the function must not ${what}.`);
  }
}

function requireTensor(value: unknown): Tensor {
  refusePromise("checkpoint", value);
  if (value instanceof Tensor) return value;
  throw new TensorError("checkpoint: the function must return a tensor.");
}
