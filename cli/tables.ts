// Recall and search results as text tables.
import type { Metrics, Recall } from "../train/metrics.ts";
import type { Answer } from "../train/search.ts";

const columns = ["r1", "r5", "r10", "r50"] as const;

function line(name: string, count: number | "", recall: Recall): string {
  const cells = columns.map((column) => recall[column].toFixed(1).padStart(6)).join(" ");
  return `  ${name.padEnd(34)} ${`${count}`.padStart(7)} ${cells}`;
}

/** Recall per split and kind, with the raw-pixel yardstick under each. */
export function recallTables(metrics: Metrics): string {
  const head = `  ${"".padEnd(34)} ${"queries".padStart(7)} ${["R@1", "R@5", "R@10", "R@50"].map((c) => c.padStart(6)).join(" ")}`;
  const parts = Object.entries(metrics.splits).map(([name, split]) =>
    [
      `${name}: ${split.gallery} pictures, the reference taken out; a random order finds ${split.chance_r10.toFixed(2)} % at R@10`,
      head,
      line("all", split.queries, split),
      line("raw 32-pixel nearest neighbours", "", split.pixels),
      ...Object.entries(split.kinds).flatMap(([kind, recall]) => [
        line(kind, recall.queries, recall),
        line("  raw 32-pixel nearest neighbours", "", recall.pixels),
      ]),
    ].join("\n"),
  );
  return ["Recall in percent", ...parts].join("\n\n");
}

/** Answers of a search, best first. */
export function answerTable(answers: readonly Answer[]): string {
  return answers
    .map(({ rank, score, name }) => `${`${rank}`.padStart(4)}  ${score.toFixed(4)}  ${name}`)
    .join("\n");
}
