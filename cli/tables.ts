// Recall, search results and what an import does, as text tables.
import type { ImportPlan, PlanLine } from "../model/checkpoint/plan.ts";
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

/** A name with its layer's number taken out, so that a model's equal layers make one line. */
const anyLayer = (text: string) => text.replace(/\.\d+\./g, ".#.");

/** The lines of a part of an import, equal layers put together. */
function importLines(title: string, lines: readonly PlanLine[]): string {
  const counts = new Map<string, number>();
  let tensors = 0;
  for (const { names, note } of lines) {
    const [first, ...others] = names.map(anyLayer);
    const stem = first.slice(0, first.lastIndexOf(".", first.lastIndexOf(".") - 1) + 1);
    // Names side by side differ in one part only: encoder.{query, key}.
    const shown = [first, ...others.map((name) => (name.startsWith(stem) ? name.slice(stem.length) : name))];
    const to = anyLayer(note);
    const line = to.startsWith(`${first} `) ? to : `${shown.join(" + ")}  ->  ${to}`;
    counts.set(line, (counts.get(line) ?? 0) + 1);
    tensors += names.length;
  }
  const body = Array.from(counts, ([line, count]) => `${`${count}`.padStart(5)} x ${line}`);
  return [`${title}: ${tensors}`, ...body].join("\n");
}

/** What becomes of a checkpoint's tensors: mapped, ignored on purpose, missing, unexpected, and what starts afresh. */
export function importTable(plan: ImportPlan): string {
  const { vision, text, projection } = plan.model;
  const size = plan.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return [
    `${plan.title}\n` +
      `ViT ${vision.width} wide, ${vision.depth} layers, ${vision.imageSize} px in patches of ${vision.patchSize}; ` +
      `BERT ${text.width} wide, ${text.depth} layers, ${plan.vocabulary.length} tokens; embeddings of ${projection}; ` +
      `${(size / 1e6).toFixed(2)} M parameters`,
    ...plan.notes,
    importLines("mapped", plan.mapped),
    importLines("ignored on purpose", plan.ignored),
    importLines("missing", plan.missing),
    importLines("of another shape or type", plan.misshaped),
    importLines("unexpected, left out", plan.unexpected),
    importLines("initialised afresh", plan.fresh),
  ].join("\n");
}
