// Every kernel there is: those of the ops, and the trainer's own, for its objective and for the peaks that a profile is
// held against.
import type { Kernel } from "../engine/index.ts";
import * as ops from "../kernels/index.ts";
import { lossKernels } from "../train/objective/losses.ts";
import { peakKernels } from "../train/profile/peak/peak.ts";

const opKernels = Object.entries(ops).flatMap(([name, list]) =>
  name.endsWith("Kernels") ? (list as readonly Kernel[]) : [],
);

export const allKernels: readonly Kernel[] = [...opKernels, ...lossKernels, ...peakKernels];
