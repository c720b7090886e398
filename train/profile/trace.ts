// A measured step in the Trace Event Format that chrome://tracing and Perfetto read ("Trace Event Format", Google,
// 2016): complete events ("X") in microseconds on one track, with what each dispatch worked on. A second group of tracks has
// the same dispatches as early as what they wait for would let them begin, with an arrow ("s" to "f") for each wait.
import type { LaunchWork } from "../../engine/index.ts";
import type { StepProfile } from "./measure.ts";
import { named, type Schedule, scheduleOf } from "./schedule.ts";

interface TraceEvent {
  name: string;
  ph: "X" | "M" | "s" | "f";
  pid: number;
  tid: number;
  id?: number;
  /** Arrows end at the event around their time. */
  bp?: "e";
  ts?: number;
  dur?: number;
  cat?: string;
  args: Record<string, unknown>;
}

/** The file's contents, as an object for JSON. */
export function chromeTrace(profile: StepProfile): { displayTimeUnit: "ms"; traceEvents: TraceEvent[] } {
  const track = { pid: 1, tid: 1 };
  const name = (what: string, text: string): TraceEvent => ({
    name: what,
    ph: "M",
    ...track,
    args: { name: text },
  });
  const schedule = scheduleOf(profile);
  const events = profile.spans.map(
    ({ kernel, begin, end, launches }, i): TraceEvent => ({
      name: kernel,
      ph: "X",
      cat: "kernel",
      ...track,
      ts: 1000 * begin,
      dur: 1000 * (end - begin),
      args: {
        ...(launches.length === 1 ? argumentsOf(launches[0]!) : { dispatches: launches.map(argumentsOf) }),
        ...(schedule && waitsOf(schedule, i)),
      },
    }),
  );
  return {
    displayTimeUnit: "ms",
    traceEvents: [
      name("process_name", profile.adapter),
      name("thread_name", profile.timing),
      ...events,
      ...(schedule ? earliestTracks(schedule) : []),
    ],
  };
}

function waitsOf(schedule: Schedule, i: number) {
  const { slack, waitsFor, neededBy } = schedule.dispatches[i]!;
  const all = (numbers: readonly number[]) => named(schedule, numbers, numbers.length);
  return { number: i, slack, waitsFor: all(waitsFor), neededBy: all(neededBy) };
}

/** Dispatches at their earliest, those that would run side by side on tracks of their own. */
function earliestTracks(schedule: Schedule): TraceEvent[] {
  /** When each track is free again. */
  const free: number[] = [];
  const track = { pid: 2 };
  const tids: number[] = [];
  const order = [...schedule.dispatches].sort((a, b) => a.earliest - b.earliest || a.number - b.number);
  for (const { number, earliest, milliseconds } of order) {
    const found = free.findIndex((end) => end <= earliest);
    const tid = found < 0 ? free.length : found;
    free[tid] = earliest + milliseconds;
    tids[number] = tid + 1;
  }
  const events = schedule.dispatches.map(
    ({ number, kernel, earliest, milliseconds, slack }): TraceEvent => ({
      ...{ name: kernel, ph: "X", cat: slack > 0 ? "beside" : "chain", ...track, tid: tids[number]! },
      ...{ ts: 1000 * earliest, dur: 1000 * milliseconds, args: waitsOf(schedule, number) },
    }),
  );
  let id = 0;
  const arrow = { name: "waits", cat: "waits", ...track, args: {} };
  const arrows = schedule.dispatches.flatMap(({ number, waitsFor }) =>
    waitsFor.flatMap((other): TraceEvent[] => {
      id++;
      const end = (at: number) => {
        const { earliest, milliseconds } = schedule.dispatches[at]!;
        return { ...arrow, id, tid: tids[at]!, ts: 1000 * (earliest + milliseconds / 2) };
      };
      return [
        { ...end(other), ph: "s" },
        { ...end(number), ph: "f", bp: "e" },
      ];
    }),
  );
  const title = "if each began once what it waits for is done";
  return [{ name: "process_name", ph: "M", ...track, tid: 1, args: { name: title } }, ...events, ...arrows];
}

function argumentsOf({ bindings, grid, flops, bytes, params, constants }: LaunchWork) {
  const shapes = bindings.map(({ name, dtype, shape }) => [name, `${dtype}[${shape.join(", ")}]`]);
  return { shapes: Object.fromEntries(shapes), grid: grid.join(" x "), flops, bytes, params, constants };
}
