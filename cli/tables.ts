// Recall, search results, what an import does and where a step's time goes, as text tables.
import type { ImportPlan, PlanLine } from "../model/checkpoint/plan.ts";
import type { DataCheck } from "../train/data/check.ts";
import type { Metrics, Recall } from "../train/eval/metrics.ts";
import { protocols, provenanceOf, type Result } from "../train/eval/protocols.ts";
import type { SubmissionCheck } from "../train/eval/submit.ts";
import { kernelRows, millisecondsOf, type StepProfile } from "../train/profile/measure.ts";
import { besideChain, named, type Schedule, scheduleOf, waitsInWords } from "../train/profile/schedule.ts";
import { metricName, rate, share } from "../train/report/format.ts";
import type { Answer } from "../train/run/search.ts";
import { visible } from "./output.ts";

const columns = ["r1", "r5", "r10", "r50"] as const;

function line(name: string, count: number | "", recall: Recall): string {
  const cells = columns.map((column) => recall[column].toFixed(1).padStart(6)).join(" ");
  return `  ${name.padEnd(34)} ${`${count}`.padStart(7)} ${cells}`;
}

/** An evaluation's figures: by protocol, and for Emoji-CoIR by kind. */
export function metricsTables(metrics: Metrics): string {
  const { results, notes, splits } = metrics;
  if (results.length === 0) return "Nothing was evaluated.";
  const parts = [scoreTable(whatOf(results), results, notes)];
  if (Object.keys(splits).length > 0) parts.push(recallTables(metrics));
  return parts.join("\n\n");
}

const whatOf = ([first]: readonly Result[]) => protocols[first!.data as keyof typeof protocols].what;

/** Recall per split and kind, with the raw-pixel yardstick under each. */
function recallTables(metrics: Metrics): string {
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
    .map(({ rank, score, name }) => `${`${rank}`.padStart(4)}  ${score.toFixed(4)}  ${visible(name, "line")}`)
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
    const line = visible(to.startsWith(`${first} `) ? to : `${shown.join(" + ")}  ->  ${to}`, "line");
    counts.set(line, (counts.get(line) ?? 0) + 1);
    tensors += names.length;
  }
  const body = Array.from(counts, ([line, count]) => `${`${count}`.padStart(5)} x ${line}`);
  return [`${title}: ${tensors}`, ...body].join("\n");
}

const elementsOf = (plan: ImportPlan) =>
  plan.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);

/** What `importTable` shows, as JSON. */
export function planSummary(plan: ImportPlan) {
  const { title, model, notes, mapped, ignored, missing, misshaped, unknown, unexpected, fresh } = plan;
  const tensors = { mapped, ignored, missing, misshaped, unknown, unexpected, fresh };
  return { title, model, tokens: plan.vocabulary.length, parameters: elementsOf(plan), notes, tensors };
}

/** What becomes of a checkpoint's tensors: mapped, ignored on purpose, missing, unexpected, and what starts afresh. */
export function importTable(plan: ImportPlan): string {
  const { vision, text, projection } = plan.model;
  return [
    `${plan.title}\n` +
      `ViT ${vision.width} wide, ${vision.depth} layers, ${vision.imageSize} px in patches of ${vision.patchSize}; ` +
      `BERT ${text.width} wide, ${text.depth} layers, ${plan.vocabulary.length} tokens; embeddings of ${projection}; ` +
      `${(elementsOf(plan) / 1e6).toFixed(2)} M parameters`,
    ...plan.notes,
    importLines("mapped", plan.mapped),
    importLines("ignored on purpose", plan.ignored),
    importLines("missing", plan.missing),
    importLines("of another shape or type", plan.misshaped),
    importLines("not known, within an encoder", plan.unknown),
    importLines("not known, outside of the encoders, left out", plan.unexpected),
    importLines("initialised afresh", plan.fresh),
  ].join("\n");
}

/** The kernels of a step, the costliest first, under what the step as a whole takes. */
export function profileTable(profile: StepProfile): string {
  const { adapter, peak, timing, dispatches, stepMilliseconds, hostMicroseconds, memory, spans } = profile;
  const whole = millisecondsOf(spans);
  const schedule = scheduleOf(profile);
  const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
  const row = (name: string, ...cells: string[]) =>
    `  ${name.padEnd(34)} ${cells.map((cell) => cell.padStart(9)).join(" ")}`;
  const how = {
    timestamps: "each dispatch in a pass of its own, by timestamps",
    "wall clock":
      "each kernel's dispatches by themselves, by the wall clock, because the adapter has no timestamp-query",
  }[timing];
  return [
    `${adapter}: peaks of ${peak.gflops.toFixed(1)} GFLOP/s and ${peak.gbps.toFixed(1)} GB/s, measured`,
    `A step: ${dispatches} dispatches, ${stepMilliseconds.toFixed(1)} ms, of these ` +
      `${hostMicroseconds.toFixed(1)} µs a dispatch on the host; ` +
      `memory ${megabytes(memory.planned)} planned, ${megabytes(memory.naive)} without a plan`,
    `Waits: ${waitsInWords(profile, schedule, whole).join("\n  ")}`,
    `Kernels: ${how}`,
    "",
    row("", "calls", "ms", "of step", "GFLOP/s", "GB/s", "bound by", "of peak"),
    ...kernelRows(profile).map(({ name, calls, milliseconds, gflops, gbps, bound, ofPeak }) =>
      row(
        name,
        ...[`${calls}`, milliseconds.toFixed(2), share(milliseconds / whole)],
        ...[rate(gflops), rate(gbps), bound, share(ofPeak)],
      ),
    ),
    row("together", `${dispatches}`, whole.toFixed(2), "100.0 %"),
    ...(schedule ? besideLines(schedule) : []),
  ].join("\n");
}

/** Dispatches named beside the longest chain; the page and the trace have more. */
const mostBeside = 5;

function besideLines(schedule: Schedule): string[] {
  const rows = besideChain(schedule);
  if (rows.length === 0) return [];
  return [
    "",
    `Could run beside the longest chain, ${Math.min(mostBeside, rows.length)} of ${rows.length}:`,
    ...rows
      .slice(0, mostBeside)
      .flatMap(({ number, kernel, milliseconds, slack, waitsFor, neededBy }) => [
        `  ${number} ${kernel}: ${milliseconds.toFixed(2)} ms, could begin ${slack.toFixed(2)} ms later;`,
        `    waits for ${named(schedule, waitsFor)}, needed by ${named(schedule, neededBy)}`,
      ]),
  ];
}

/** Figures in percent, each line under what it is of. */
export function scoreTable(what: string, results: readonly Result[], notes: readonly string[]): string {
  const parts = results.map((result) => {
    const names = Object.keys(result.metrics).map((key) => metricName(key).padStart(7));
    const cells = Object.values(result.metrics).map((value) => (100 * value).toFixed(2).padStart(7));
    return `${provenanceOf(result)}\n  ${names.join(" ")}\n  ${cells.join(" ")}`;
  });
  return [`${what}, in percent`, ...notes, ...parts].join("\n\n");
}

/** What a server would refuse. */
export function submissionTable(
  file: string,
  { kind, queries, problems, unchecked }: SubmissionCheck,
): string {
  const what = kind === "circo" ? "CIRCO" : kind === null ? "no submission" : `CIRR, ${kind}`;
  return [
    `${visible(file, "line")}: ${what}, ${queries} queries`,
    problems.length === 0
      ? "Nothing that the server would refuse."
      : "The server would refuse it, or count it wrong:",
    ...problems.map((problem) => `  - ${visible(problem, "line")}`),
    ...unchecked.map((one) => `Not checked: ${one}`),
  ].join("\n");
}

/** Lines that are shown of a long list; --json has all. */
const mostListed = 20;

/** A data set's folder: its splits, and the pictures that are missing or broken. */
export function dataTable({ data, root, ok, splits, missing, undecodable }: DataCheck): string {
  const parts = splits.map((one) => {
    const head = `${data} ${visible(one.split, "line")}`;
    if (one.error !== null) return `${head}: ${visible(one.error, "line")}`;
    const counts = one.counts.map(({ what, found, published }) => {
      const beside =
        published === null ? "" : found === published ? ", as published" : `, published: ${published}`;
      return `  ${`${found}`.padStart(7)} ${what}${beside}`;
    });
    return [
      head,
      ...one.files.map(
        ({ file, entries }) => `  ${`${entries}`.padStart(7)} entries in ${visible(file, "line")}`,
      ),
      ...counts,
      ...one.notes.map((note) => `  ${visible(note, "line")}`),
      `  pictures: ${one.missing} missing, ${one.undecodable} broken of ${one.pictures}; queries lost: ${one.lost} of ${one.queries}`,
    ].join("\n");
  });
  const listed = (title: string, lines: readonly string[]) => {
    if (lines.length === 0) return [];
    const more =
      lines.length > mostListed ? [`  and ${lines.length - mostListed} more; --json lists all`] : [];
    return [
      [
        `${title}: ${lines.length}`,
        ...lines.slice(0, mostListed).map((line) => `  ${visible(line, "line")}`),
        ...more,
      ].join("\n"),
    ];
  };
  return [
    ...parts,
    ...listed("missing", missing),
    ...listed(
      "can't be decoded",
      undecodable.map(({ path, why }) => `${path}: ${why}`),
    ),
    ok ? `${visible(root, "line")} is whole.` : `${visible(root, "line")} is not whole.`,
  ].join("\n\n");
}
