// Progress on the terminal: one bar for training, one for everything else; plain lines where output is no terminal.
import cliProgress from "cli-progress";
import type { RunEvents } from "../train/run/events.ts";
import type { Output } from "./output.ts";

/** Shows the events of a run. */
export function consoleEvents(output: Output): RunEvents & { end(): void } {
  let bar: cliProgress.SingleBar | null = null;
  let shown = "";
  const interactive = process.stderr.isTTY === true;
  const end = () => {
    bar?.stop();
    bar = null;
    shown = "";
  };
  const open = (name: string, format: string, total: number, start: number) => {
    if (shown === name) return;
    end();
    bar = new cliProgress.SingleBar({ format, hideCursor: true, stream: process.stderr });
    bar.start(total, start, { loss: "-", rate: "-", left: "-" });
    shown = name;
  };
  let nextLine = 0;
  return {
    message(text) {
      end();
      output.line(text);
    },
    step(record, total) {
      const left = ((total - record.step) * record.seconds) / record.step;
      const fields = {
        loss: record.loss.toFixed(3),
        rate: record.samples_per_second.toFixed(0),
        left: duration(left),
      };
      if (interactive) {
        const format = "training {bar} {value}/{total} | loss {loss} | {rate} samples/s | {left} left";
        open("training", format, total, record.step);
        bar?.update(record.step, fields);
      } else if (record.step === total || performance.now() > nextLine) {
        nextLine = performance.now() + 10_000;
        output.line(
          `step ${record.step}/${total}  loss ${fields.loss}  ${fields.rate} samples/s  ${fields.left} left`,
        );
      }
    },
    progress(what, done, total) {
      if (interactive) {
        open(what, `${what} {bar} {value}/{total}`, total, done);
        bar?.update(done);
        if (done === total) end();
      }
    },
    end,
  };
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 90 ? `${whole} s` : `${Math.round(whole / 60)} min`;
}
