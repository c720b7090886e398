// What of a measured step waits for what: when each dispatch could begin at the earliest if the device had room for all, and
// how long it could be put off without making the step longer, by the critical path method (Kelley and Walker, 1959).
import { chainsOf, type ReplayCommand } from "../../engine/index.ts";
import { type StepProfile, shapesOf } from "./measure.ts";

/** A dispatch among those that it waits for; numbers are those of the step's dispatches, from 0. */
export interface Waiting {
  number: number;
  kernel: string;
  shapes: string;
  milliseconds: number;
  /** When it could begin, in milliseconds from the first. */
  earliest: number;
  /** Milliseconds that it could begin later than that; 0 on the longest chain. */
  slack: number;
  /** Those whose results it takes, and those whose memory, without those that these wait for. */
  waitsFor: number[];
  neededBy: number[];
}

export interface Schedule {
  /** Of the longest chain: no order makes a step shorter. */
  chainMilliseconds: number;
  dispatches: Waiting[];
}

/** For each dispatch of a replay those that it waits for, be it through a copy or a clear. */
function dispatchNeeds(replay: readonly ReplayCommand[]): number[][] {
  const through: number[][] = [];
  for (const { results, places } of replay)
    through.push([
      ...new Set([...results, ...places].flatMap((i) => (replay[i]!.launch === null ? through[i]! : [i]))),
    ]);
  return replay.flatMap(({ launch }, i) =>
    launch === null ? [] : [through[i]!.map((other) => replay[other]!.launch!).sort((a, b) => a - b)],
  );
}

/** The schedule of a step; null where single dispatches have no time of their own. */
export function scheduleOf({ timing, spans, waits: { replay } }: StepProfile): Schedule | null {
  if (timing !== "timestamps") return null;
  const costs = spans.map(({ begin, end }) => end - begin);
  const waitsFor = dispatchNeeds(replay);
  const neededBy = waitsFor.map((): number[] => []);
  waitsFor.forEach((others, i) => {
    for (const other of others) neededBy[other]!.push(i);
  });
  const chains = chainsOf(waitsFor, (i) => costs[i]!);
  const chainMilliseconds = Math.max(0, ...chains);
  /** When each has to be done at the latest. */
  const latest: number[] = [];
  for (let i = spans.length - 1; i >= 0; i--)
    latest[i] = Math.min(chainMilliseconds, ...neededBy[i]!.map((other) => latest[other]! - costs[other]!));
  const slack = (i: number) => {
    const later = latest[i]! - chains[i]!;
    // Less is rounding.
    return later > 1e-9 * chainMilliseconds ? later : 0;
  };
  const dispatches = spans.map(({ kernel, launches }, i) => ({
    ...{ number: i, kernel, shapes: shapesOf(launches[0]!), milliseconds: costs[i]! },
    ...{ earliest: chains[i]! - costs[i]!, slack: slack(i) },
    ...{ waitsFor: waitsFor[i]!, neededBy: neededBy[i]! },
  }));
  return { chainMilliseconds, dispatches };
}

/** What could run beside the longest chain, that which would save most first. */
export function besideChain({ dispatches }: Schedule): Waiting[] {
  const hidden = ({ milliseconds, slack }: Waiting) => Math.min(milliseconds, slack);
  return dispatches.filter((one) => hidden(one) > 0).sort((a, b) => hidden(b) - hidden(a));
}

/** In words, two sentences: how many wait and how many of them would have to; how long the longest chain takes of `whole` milliseconds. */
export function waitsInWords({ waits }: StepProfile, schedule: Schedule | null, whole: number): string[] {
  const { commands, barriers, needed, depth, depthOfResults } = waits;
  const took = schedule
    ? ` and takes ${schedule.chainMilliseconds.toFixed(2)} of ${whole.toFixed(2)} ms`
    : "";
  return [
    `${barriers} of ${commands} dispatches, copies and clears wait for all before them, ${needed} for one that they need.`,
    `The longest chain has ${depth}${took}; it would have ${depthOfResults} if no tensors shared memory.`,
  ];
}

/** Dispatches by number and kernel, the first `most` of them. */
export function named({ dispatches }: Schedule, numbers: readonly number[], most = 4): string {
  const names = numbers.slice(0, most).map((at) => `${at} ${dispatches[at]!.kernel}`);
  const more = numbers.length > most ? [`${numbers.length - most} more`] : [];
  return [...names, ...more].join(", ") || "nothing";
}
