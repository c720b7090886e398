// How the Kernels tab words its figures: the table, the drawings, the copy as JSON and the saved report alike.
import type { Peak } from "../../../train/profile/peak/peak.ts";
import type { Outcome, Part, Rates, Timed } from "../../kernels.ts";

/** Three digits. */
export const round = (value: number) =>
  value >= 1000 ? Math.round(value).toLocaleString("en") : `${Number(value.toPrecision(3))}`;

/** From the fastest round to the slowest, as a share of the median. */
export const spreadOf = ({ least, median, most }: Pick<Rates, "least" | "median" | "most">) =>
  `${Math.round((100 * (most - least)) / median)} %`;

/** What limits a case, how near it comes to that, and its rate. */
export function standing(
  { gflops, gbps, flops, bytes, inFlops }: Timed,
  peak: Peak,
): { bound: "compute" | "memory"; ofPeak: number; rate: string } {
  const isCompute = gflops !== null && flops! / peak.gflops > bytes / peak.gbps;
  return {
    bound: isCompute ? "compute" : "memory",
    ofPeak: isCompute ? gflops / peak.gflops : gbps / peak.gbps,
    rate: inFlops && gflops !== null ? `${round(gflops)} GFLOP/s` : `${round(gbps)} GB/s`,
  };
}

/** A kernel of a case, such as "2 x attention-dq (CAUSAL)". */
export const partWords = ({ kernel, calls, variants }: Part) =>
  `${calls > 1 ? `${calls} x ` : ""}${kernel}${variants.length > 0 ? ` (${variants.join(", ")})` : ""}`;

/** One line, and what follows from it. */
export function outcomeWords(outcome: Outcome): { good: boolean; words: string } {
  const bad = (words: string) => ({ good: false, words });
  switch (outcome.kind) {
    case "broken":
      return bad(
        outcome.faults.length === 0
          ? outcome.message
          : `It does not compile: ${outcome.faults.length === 1 ? "one error" : `${outcome.faults.length} errors`}.`,
      );
    case "wrong": {
      const { cases, right, untried } = outcome;
      const rest = untried > 0 ? `; ${untried} more were not tried` : "";
      return bad(`Wrong in ${cases.length} of ${cases.length + right} cases${rest}.`);
    }
    case "endless": {
      const where = outcome.line > 0 ? `The loop on line ${outcome.line}` : "A loop";
      return bad(
        `${where} does not end: it was left after ${outcome.turns.toLocaleString("en")} turns, in ${outcome.name}. The GPU is free again.`,
      );
    }
    case "stuck":
      return bad(
        `The GPU did not answer for ${outcome.seconds} seconds, in ${outcome.name}. What it was at is left alone, and the next run opens the GPU anew; if that does not answer either, end the browser and start it again.`,
      );
    case "lost":
      return bad(`The GPU was lost in ${outcome.name} (${outcome.why}). The next run opens it again.`);
    case "stopped":
      return bad("Stopped.");
    case "right": {
      const { checked, ratio, timedOn, original, edited } = outcome;
      const [by, least, most] = [ratio.median, ratio.least, ratio.most].map((value) => value.toFixed(2));
      return {
        good: true,
        words: `Right in ${checked} cases. ${timedOn} takes ${round(edited.median)} ms instead of ${round(original.median)}: ${by} times as fast, by rounds ${least} to ${most}.`,
      };
    }
  }
}
