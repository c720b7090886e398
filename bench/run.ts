// The measuring itself. For each case every engine computes the same job, results are held against each other, and then
// the engines take turns: one batch of runs each, round after round, so that what the machine does on the side hits all
// alike. A batch lasts at least a few times what a question to another process costs. benny times the batches; the
// median over the rounds counts.
import benny from "benny";
import { relativeError } from "../cases/compare.ts";
import { type Entrant, enter, median, turnsOf } from "../cases/timing.ts";
import type { Peak } from "../train/profile/peak/peak.ts";
import type { Job, Outputs, Side } from "./protocol.ts";
import { type CaseResult, ratioOf } from "./results.ts";
import type { Measured } from "./subjects.ts";

/** An engine of others, by the name that the results give it. */
export interface Peer {
  name: string;
  side: Side;
}

export interface Plan {
  ours: Side;
  /** Another process of ours, for what is not captured. */
  eager: Side;
  peers: readonly Peer[];
  peak: Peak;
  /** Batches of each engine. */
  rounds: number;
  /** Milliseconds that a batch takes at least. */
  batch: number;
  /** A line for the user. */
  message(text: string): void;
}

/** Results of engines differ, or one of ours is wrong. */
export class MismatchError extends Error {
  override name = "MismatchError";
}

/** An engine that takes its turns. */
type Racer = Entrant<Side>;

/** Measures one case. Throws MismatchError where results differ, and whatever our engine throws. */
export async function measure(subject: Measured, plan: Plan): Promise<CaseResult> {
  const { ours, eager, peers, peak, message } = plan;
  const job = subject.job();
  const entrants: Racer[] = [];
  const wrong: string[] = [];
  try {
    const outputs = await prepare({ name: "ours", side: ours }, job, entrants);
    const error = subject.check?.(outputs!);
    if (error) wrong.push(error);
    if (subject.eager) {
      const others = await prepare({ name: "eager", side: eager }, subject.eager(), entrants);
      wrong.push(...compare("eager", others!, outputs!, subject.tolerance));
    }
    for (const peer of subject.peers ? peers : []) {
      try {
        const others = await prepare(peer, job, entrants);
        if (others) wrong.push(...compare(peer.name, others, outputs!, subject.tolerance));
      } catch (cause) {
        message(`  ${peer.name} failed and does not count: ${(cause as Error).message.split("\n")[0]}`);
      }
    }
    if (wrong.length > 0) throw new MismatchError(`${subject.name}: ${wrong.join("; ")}.`);
    await race(subject.name, entrants, plan);
  } finally {
    const sides = [ours, ...(subject.eager ? [eager] : []), ...peers.map(({ side }) => side)];
    for (const side of sides) await side.release().catch(() => {});
  }

  const named = (name: string) => entrants.find((entrant) => entrant.name === name);
  const theirs = entrants.filter(({ name }) => name !== "ours" && name !== "eager");
  /** Times of the others by one way to see their samples. */
  const others = (timeOf: (samples: readonly number[]) => number) =>
    Object.fromEntries(theirs.map(({ name, samples }) => [name, timeOf(samples)]));
  const own = named("ours")!.samples;
  const [ours_ms, them] = [median(own), others(median)];
  const ratios = own
    .map((time, round) =>
      ratioOf(
        time,
        others((samples) => samples[round]!),
      ),
    )
    .filter((ratio) => ratio !== null);
  const perSecond = (count: number) => count / ours_ms / 1e6;
  const gflops = subject.flops === null ? null : perSecond(subject.flops);
  return {
    name: subject.name,
    ours_ms,
    eager_ms: subject.eager ? median(named("eager")!.samples) : null,
    peers: them,
    ratio_best_peer: ratioOf(ours_ms, them),
    ratio_range: ratios.length > 0 ? [Math.min(...ratios), Math.max(...ratios)] : null,
    gflops,
    fraction_of_peak:
      gflops !== null
        ? gflops / peak.gflops
        : subject.bytes !== null
          ? perSecond(subject.bytes) / peak.gbps
          : null,
  };

  /** Prepares the job on an engine and finds how many runs make a batch. Null where the engine can't. */
  async function prepare({ name, side }: Peer, job: Job, into: Racer[]): Promise<Outputs | null> {
    const outputs = await side.prepare(job);
    if (!outputs) return null;
    into.push(await enter(name, side, plan.batch));
    return outputs;
  }
}

/** Lines about outputs that differ. */
function compare(name: string, theirs: Outputs, ours: Outputs, tolerance: number): string[] {
  return Object.keys({ ...ours, ...theirs }).flatMap((key) => {
    const error = relativeError(theirs[key] ?? [], ours[key] ?? []);
    return error <= tolerance
      ? []
      : [`${key} of ${name} differs from ours by ${error.toPrecision(3)}, allowed ${tolerance}`];
  });
}

/** Lets the engines take turns, and fills their samples with milliseconds a run. */
async function race(title: string, entrants: Racer[], plan: Plan): Promise<void> {
  const turns = turnsOf(entrants, plan.rounds);
  const failures: Error[] = [];
  const cases = turns.map(({ name, side, times }, turn) => {
    // benny calls a case once to see whether it is asynchronous, and does not wait for it.
    let pastFirst = false;
    const batch = async () => {
      // benny waits for ever where a case fails.
      if (pastFirst) await side.run(times).catch((error: Error) => failures.push(error));
      pastFirst = true;
    };
    return benny.add(`${turn} ${name}`, () => batch, {
      minSamples: 1,
      maxTime: 0,
      minTime: 1e-3,
      initCount: 1,
    });
  });
  const { results } = await benny.suite(title, ...cases);
  if (failures.length > 0) throw failures[0];
  results.forEach(({ details }, turn) => {
    const { samples, times } = turns[turn]!;
    samples.push((median(details.sampleResults) * 1000) / times);
  });
}
