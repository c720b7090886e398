// A measured step in the Trace Event Format that chrome://tracing and Perfetto read ("Trace Event Format", Google,
// 2016): complete events ("X") in microseconds on one track, with what each dispatch worked on.
import type { LaunchWork } from "../../engine/index.ts";
import type { StepProfile } from "./measure.ts";

interface TraceEvent {
  name: string;
  ph: "X" | "M";
  pid: number;
  tid: number;
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
  const events = profile.spans.map(
    ({ kernel, begin, end, launches }): TraceEvent => ({
      name: kernel,
      ph: "X",
      cat: "kernel",
      ...track,
      ts: 1000 * begin,
      dur: 1000 * (end - begin),
      args: launches.length === 1 ? argumentsOf(launches[0]!) : { dispatches: launches.map(argumentsOf) },
    }),
  );
  return {
    displayTimeUnit: "ms",
    traceEvents: [name("process_name", profile.adapter), name("thread_name", profile.timing), ...events],
  };
}

function argumentsOf({ bindings, grid, flops, bytes, params, constants }: LaunchWork) {
  const shapes = bindings.map(({ name, dtype, shape }) => [name, `${dtype}[${shape.join(", ")}]`]);
  return { shapes: Object.fromEntries(shapes), grid: grid.join(" x "), flops, bytes, params, constants };
}
