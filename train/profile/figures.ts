// The figures of a profile as JSON has them.
import { kernelRows, type StepProfile, shapeRows } from "./measure.ts";
import { besideChain, scheduleOf } from "./schedule.ts";

/** A profile without its single dispatches, which the trace has, but for those that could run beside others. */
export function figures(name: string, measured: StepProfile) {
  const { spans: _, waits, ...summary } = measured;
  const { replay: __, ...counts } = waits;
  const schedule = scheduleOf(measured);
  const chain = schedule && {
    chainMilliseconds: schedule.chainMilliseconds,
    besideChain: besideChain(schedule),
  };
  return {
    ...{ name, ...summary, waits: { ...counts, ...chain } },
    ...{ kernels: kernelRows(measured), shapes: shapeRows(measured) },
  };
}
