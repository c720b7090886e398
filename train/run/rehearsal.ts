// The kernels of a training step get ready while the data set loads. On a software adapter both take seconds, on different
// threads.
import { availableParallelism } from "node:os";
import type { Engine } from "../../engine/index.ts";
import type { RunConfig } from "../config.ts";
import { blankStep } from "./blank.ts";

/** Gets the kernels of a run's steps ready. What another batch needs beside them compiles when it comes. */
export async function rehearse(engine: Engine, config: RunConfig): Promise<void> {
  await engine.prepare(await blankStep(engine, config), { threads: availableParallelism() });
}
