// How the bench and the page time what runs on a device. A batch of runs lasts long enough to be told from the wait for
// it; those who are compared take turns, one batch each, round after round, so that what the machine does on the side
// hits all alike; the median over the rounds counts. No Node here.

/** Something that runs on a device. */
export interface Subject {
  /** Starts one run, waiting for nothing that the device still does; may wait where the engine knows no other way. */
  run(): void | Promise<void>;
  /** Until the device has done all runs. */
  wait(): Promise<void>;
  dispose(): void | Promise<void>;
}

/** Runs a subject so many times. Returns the milliseconds until the device was done with all. */
export async function timeRuns(subject: Pick<Subject, "run" | "wait">, times: number): Promise<number> {
  const start = performance.now();
  for (let i = 0; i < times; i++) await subject.run();
  await subject.wait();
  return performance.now() - start;
}

/** Who can be asked for a batch of runs, and answers with its milliseconds. */
export interface Runner {
  run(times: number): Promise<number>;
}

/** One of those who take turns. */
export interface Entrant<R extends Runner = Runner> {
  name: string;
  side: R;
  /** Milliseconds of a run, about. */
  once: number;
  /** Runs in a batch. */
  times: number;
  /** Milliseconds of a run, by round. */
  samples: number[];
}

/** Batches of each entrant, and the milliseconds that a batch takes at least. */
export const usualPlan = { rounds: 5, batch: 50 };
/** A run longer than so many milliseconds is measured in fewer rounds. */
const longRun = 1000;
const longRounds = 3;

/** Runs a side until its time says something, and finds how many runs make a batch. */
export async function enter<R extends Runner>(name: string, side: R, batch: number): Promise<Entrant<R>> {
  let once = await side.run(1);
  // After a short run, a cold cache says more than the kernel.
  if (once < batch) once = await side.run(1);
  return { name, side, once, times: Math.max(1, Math.ceil(batch / once)), samples: [] };
}

/** Whose turn it is, one after the other. */
export function turnsOf<E extends Entrant>(entrants: readonly E[], rounds: number): E[] {
  const long = entrants.some(({ once }) => once > longRun);
  return Array.from({ length: long ? Math.min(longRounds, rounds) : rounds }, () => entrants).flat();
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}
