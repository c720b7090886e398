// Looks at a model while it learns: always the same few queries among the same few pictures, so that what changes is the
// model. They come every few seconds and take a sixth of the time at most.
import type { OpenSplit } from "../../train/data/dataset.ts";
import type { Split } from "../../train/data/types.ts";
import type { SheetRow } from "../../train/eval/metrics.ts";
import type { RunEvents } from "../../train/run/events.ts";
import { embedGalleries, judgeSplit } from "../../train/run/judge.ts";
import type { LoadedModel } from "../../train/run/open.ts";
import type { Glance } from "../messages.ts";

/** Queries that are ranked, and pictures that they are ranked among. */
const queries = 64;
const pictures = 512;
/** Milliseconds between two looks at least, and as a multiple of what one takes. */
const patience = 3000;
const restraint = 5;
/** Steps before the second look, when nobody knows yet how long a step takes, and the most between two. */
const firstSteps = 8;
const mostSteps = 200;

/** Some of so many, spread evenly. */
const spread = (most: number, of: number) =>
  Array.from({ length: Math.min(most, of) }, (_, i) => Math.floor((i * of) / Math.min(most, of)));

/** A few queries of a split, and of its pictures theirs and others. */
export function smallSplit({ split, pictures: all }: OpenSplit): OpenSplit {
  const asked = spread(queries, split.queries.length).map((i) => split.queries[i]!);
  const [gallery] = split.galleries;
  const chosen = new Set(asked.flatMap(({ reference, right }) => [reference, ...right]));
  for (const place of spread(pictures, gallery!.pictures.length)) {
    if (chosen.size >= pictures) break;
    chosen.add(gallery!.pictures[place]!);
  }
  const ids = Int32Array.from(chosen).sort();
  const small: Split = { ...split, queries: asked, galleries: [{ name: "a few pictures", pictures: ids }] };
  return { split: small, pictures: all };
}

export class Glances {
  private due = 0;
  private last = { step: 0, at: performance.now() };

  /**
   * @param save keeps what was seen
   */
  constructor(
    private readonly subject: Omit<LoadedModel, "weights">,
    private readonly open: OpenSplit,
    private readonly total: number,
    private readonly save: (glance: Glance, sheet: readonly SheetRow[]) => Promise<void>,
  ) {}

  /** The step at which training stops for the next look. */
  next(step: number): number {
    return Math.max(this.due, step + 1);
  }

  /** Looks, where it is time. */
  async run(step: number): Promise<void> {
    if (step < this.due && step !== this.total) return;
    const start = performance.now();
    const quiet: RunEvents = { message() {}, step() {}, progress() {} };
    const { open, subject, last } = this;
    const galleries = await embedGalleries(subject.engine, subject.model, [open], quiet);
    const { results, sheet } = await judgeSplit(subject, open, galleries.get(open.pictures)!.targets, {
      ...{ captions: "as written", hash: {}, events: quiet },
    });
    const { split } = open;
    const counts = { queries: split.queries.length, pictures: split.galleries[0]!.pictures.length };
    await this.save({ step, metrics: results[0]!.metrics, ...counts }, sheet);
    const now = performance.now();
    const perStep = step > last.step ? (start - last.at) / (step - last.step) : null;
    const wanted = Math.max(patience, restraint * (now - start));
    const steps = perStep === null ? firstSteps : Math.round(wanted / perStep);
    this.due = step + Math.min(mostSteps, Math.max(1, steps));
    this.last = { step, at: now };
  }
}
