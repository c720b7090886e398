// Progress: on a terminal one bar for training, one for everything else; elsewhere lines with the time that is left, as a
// job's log keeps them: the first after ten seconds (of training after its first step), then the rarer the longer it takes,
// at least one a minute.
import { createRequire } from "node:module";
import type { SingleBar } from "cli-progress";
import type { RunEvents } from "../train/run/events.ts";
import type { Output } from "./output.ts";

const require = createRequire(import.meta.url);

/** Milliseconds between two lines. */
const [soonest, latest] = [10_000, 60_000];

/** Something that goes on, and when it is told of. */
interface Task {
  name: string;
  /** What was done when it began, and when that was. */
  first: number;
  started: number;
  nextLine: number;
  told: boolean;
}

/** Shows the events of a run. `now` counts milliseconds. */
export function consoleEvents(
  output: Output,
  { interactive = process.stderr.isTTY === true, now = () => performance.now() } = {},
): RunEvents & { end(): void } {
  let bar: SingleBar | null = null;
  let task: Task | null = null;
  const end = () => {
    bar?.stop();
    bar = null;
    task = null;
  };
  /** The task of this name, which goes on or begins. */
  const begin = (name: string, done: number): Task => {
    if (task?.name !== name) {
      end();
      task = { name, first: done, started: now(), nextLine: now() + soonest, told: false };
    }
    return task!;
  };
  const draw = (format: string, total: number, done: number, fields: object) => {
    if (bar) return bar.update(done, fields);
    // Whoever asks for help may not have it.
    const { SingleBar } = require("cli-progress") as typeof import("cli-progress");
    bar = new SingleBar({ format, hideCursor: true, stream: process.stderr });
    bar.start(total, done, fields);
  };
  /** Whether a line is due; then the next one is due later. */
  const due = (current: Task) => {
    if (now() < current.nextLine) return false;
    const elapsed = now() - current.started;
    current.nextLine = now() + Math.min(latest, Math.max(soonest, elapsed / 10));
    current.told = true;
    return true;
  };
  return {
    message(text) {
      // A line in between ends a bar, and a task that is told of in lines goes on.
      if (interactive) end();
      output.line(text);
    },
    step(record, total) {
      const left = ((total - record.step) * record.seconds) / record.step;
      const fields = {
        loss: record.loss.toFixed(3),
        rate: record.samples_per_second.toFixed(0),
        left: duration(left),
      };
      const begins = task?.name !== "training";
      const current = begin("training", record.step);
      if (interactive) {
        const format = "training {bar} {value}/{total} | loss {loss} | {rate} samples/s | {left} left";
        draw(format, total, record.step, fields);
      } else if (begins || record.step === total || due(current)) {
        output.line(
          `step ${record.step}/${total}  loss ${fields.loss}  ${fields.rate} samples/s  ${fields.left} left`,
        );
      }
    },
    progress(what, done, total) {
      const current = begin(what, done);
      const elapsed = (now() - current.started) / 1000;
      // The first of many tells nothing of the others.
      const rest = done > current.first ? ((total - done) * elapsed) / (done - current.first) : Number.NaN;
      const left = Number.isFinite(rest) ? `${duration(rest)} left` : "";
      if (interactive) draw(`${what} {bar} {value}/{total} {left}`, total, done, { left });
      else if (done < total && due(current)) {
        const share = `${Math.floor((100 * done) / total)} %`;
        output.line([`${what} ${done}/${total}`, share, left].filter(Boolean).join("  "));
      } else if (done >= total && current.told) {
        output.line(`${what} ${done}/${total}  done in ${duration(elapsed)}`);
      }
      if (done >= total) end();
    },
    end,
  };
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 90) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
