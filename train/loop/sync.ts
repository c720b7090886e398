// Several processes that train one model: each has a part of every step's triplets, and before the update all come to the
// mean of their gradients (data parallelism, as PyTorch's DistributedDataParallel has it).
import type { Tensor } from "../../engine/index.ts";

/** How the processes of one training work together. */
export interface Sync {
  /** Which of them this is, from 0 on. */
  rank: number;
  /** How many there are. */
  ranks: number;
  /**
   * Records commands that make gradients, f32 [n] each, the mean over all processes in place. A step may be captured, so
   * that what is recorded is run again in each.
   */
  gradients(gradients: readonly Tensor[]): void;
}

/** One process, whose gradients are what they are. */
export const alone: Sync = { rank: 0, ranks: 1, gradients() {} };

/** The number of a step's part among those of all processes: no two have the same one. */
export function partOf(step: number, { rank, ranks }: Sync): number {
  return step * ranks + rank;
}
