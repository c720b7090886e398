// A profile of a configuration's training step, in three files: profile.json (all figures), trace.json (for
// chrome://tracing and Perfetto) and roofline.html.
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import type { RunConfig } from "../config.ts";
import { requireWritable, writeAtomically } from "../run/disk.ts";
import type { RunEvents } from "../run/events.ts";
import { requirePrecision } from "../run/fitting.ts";
import { openTrainer } from "../run/train.ts";
import { figures } from "./figures.ts";
import { measureStep, type StepProfile } from "./measure.ts";
import { chromeTrace } from "./trace.ts";

export interface ProfileOptions {
  /** Folder of the files; made when missing. */
  out: string;
  /** Steps that are measured; the fastest counts. */
  steps: number;
  events: RunEvents;
}

/** A profile's files, by role. */
export const profileFiles = { figures: "profile.json", trace: "trace.json", roofline: "roofline.html" };

/** Measures the captured step of a configuration on its first batch, with fresh parameters, and writes the files. Throws as `train`. */
export async function profile(
  engine: Engine,
  config: RunConfig,
  { out, steps, events }: ProfileOptions,
): Promise<StepProfile> {
  for (const file of Object.values(profileFiles)) await requireWritable(join(out, file));
  requirePrecision(engine, config.precision);
  const { model, trainer, close } = await openTrainer(engine, config, events);
  model.parameters.initialize(config.seed);
  const { program, values } = await trainer.prepare();
  const measured = await measureStep(engine, program, values, steps);
  trainer.dispose();
  model.dispose();
  await close();
  // What draws is loaded last, as it takes a second.
  const { rooflinePage } = await import("./roofline.ts");
  const write = (file: string, text: string) => writeAtomically(join(out, file), text);
  await write(profileFiles.figures, `${JSON.stringify(figures(config.name, measured), null, 2)}\n`);
  await write(profileFiles.trace, JSON.stringify(chromeTrace(measured)));
  await write(profileFiles.roofline, await rooflinePage(`A training step of ${config.name}`, measured));
  return measured;
}
