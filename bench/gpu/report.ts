// A card's section of docs/performance.md.
import { number, table, targetTable } from "../markdown.ts";
import type { GpuCase, GpuResults, GpuStep, OpsResult } from "./results.ts";
import { eagerTime, torchTime } from "./results.ts";
import { gpuTargets } from "./targets.ts";

/** What the page says before any card was measured. */
export const noGpu = [
  "## GPUs",
  "",
  "No GPU has been measured. `npm run gpu` measures one within 7 minutes, PyTorch on the same card beside it",
  "([gpu.md](gpu.md)); its file in bench/results is drawn here, with what is wanted:",
  "",
  ...table(
    ["on an H100", "wanted"],
    gpuTargets.map(({ name, goal }) => [name, goal]),
  ),
  "",
];

const percent = (share: number | null | undefined) =>
  share === null || share === undefined ? "" : `${Math.round(share * 100)} %`;
const gibibytes = (bytes: number | null | undefined) => (bytes ? number(bytes / 2 ** 30) : "");
const modes = ["f32", "tf32", "bf16", "f16"];
const precisionOf = ({ name }: GpuCase): "f32" | "f16" => (name.includes("f16") ? "f16" : "f32");

/** The modes that some of these have a time in, compiled ones among them. */
function modesOf(all: readonly { torch: GpuCase["torch"] }[]): string[] {
  const known = [...modes, ...modes.map((mode) => `${mode}, compiled`)];
  return known.filter((mode) => all.some(({ torch }) => torchTime(torch, mode)));
}

const ratioOf = (result: { ours: GpuCase["ours"]; torch: GpuCase["torch"] }, precision: "f32" | "f16") => {
  const theirs = eagerTime(result.torch, precision);
  return theirs && result.ours ? theirs.ms / result.ours.ms : null;
};
const bold = (ratio: number | null) => (ratio === null ? "" : `**${ratio.toFixed(2)}**`);

function caseTable({ cases, peak }: GpuResults, group: GpuCase["group"]): string[] {
  const chosen = cases.filter((result) => result.group === group);
  if (chosen.length === 0) return ["Not measured."];
  const memory = group === "memory";
  const theirs = modesOf(chosen);
  const rate = ({ ours, flops, bytes }: GpuCase) => {
    const amount = memory ? bytes : flops;
    return ours && amount ? amount / ours.ms / 1e6 : null;
  };
  const of = (result: GpuCase) => {
    const speed = rate(result);
    if (speed === null || !peak) return null;
    return speed / (memory ? peak.copy_gbps : peak.gflops);
  };
  const heads = [
    ...["case", "ours, ms", "by rule, ms", "on the device, ms", memory ? "GB/s" : "GFLOP/s"],
    memory ? "of a copy" : "of f32 multiply-adds",
    ...theirs.map((mode) => `PyTorch ${mode}, ms`),
    "ratio",
  ];
  const rows = chosen.map((result) => [
    `${result.name}${result.failure ? `: **${result.failure.replaceAll("|", "/")}**` : ""}`,
    number(result.ours?.ms),
    number(result.untuned?.ms),
    number(result.ours?.gpu_ms),
    number(rate(result)),
    percent(of(result)),
    ...theirs.map((mode) => number(torchTime(result.torch, mode)?.ms)),
    bold(ratioOf(result, precisionOf(result))),
  ]);
  return table(heads, rows);
}

function stepTable(steps: readonly GpuStep[]): string[] {
  if (steps.length === 0) return ["Not measured."];
  const theirs = modesOf(steps);
  const heads = [
    ...["step", "ours, ms", "by rule, ms", "on the device, ms", "dispatches", "GiB"],
    ...theirs.flatMap((mode) => [`PyTorch ${mode}, ms`, "GiB"]),
    "ratio",
  ];
  const rows = steps.map((step) => [
    `${step.name}${step.failure ? `: **${step.failure.replaceAll("|", "/")}**` : ""}`,
    number(step.ours?.ms),
    number(step.untuned?.ms),
    number(step.ours?.gpu_ms),
    number(step.dispatches),
    gibibytes(step.bytes),
    ...theirs.flatMap((mode) => {
      const timing = torchTime(step.torch, mode);
      return [number(timing?.ms), gibibytes(timing?.peak_bytes)];
    }),
    bold(ratioOf(step, step.precision)),
  ]);
  return table(heads, rows);
}

function opsLine(what: string, result: OpsResult | null): string[] {
  if (!result) return [`- ${what}: not checked.`];
  const { cases, passed, failed, skipped, unreached, worst } = result;
  const away = Object.entries(skipped).map(([why, count]) => `${count} skipped (${why})`);
  const counts = [`${passed} of ${cases} cases right (largest error ${worst.toExponential(1)})`, ...away];
  if (unreached > 0) counts.push(`${unreached} not reached`);
  if (failed.length === 0) return [`- ${what}: ${counts.join(", ")}.`];
  const names = failed.slice(0, 10).map(({ name, failures }) => `  - ${name}: ${failures[0]?.slice(0, 160)}`);
  if (failed.length > 10) names.push(`  - and ${failed.length - 10} more.`);
  return [`- ${what}: ${counts.join(", ")}; **${failed.length} failed**:`, ...names];
}

function profileLines({
  name,
  gpuMilliseconds,
  kernels,
  dispatches,
}: GpuResults["profiles"][number]): string[] {
  const heads = ["kernel", "calls", "ms", "of the step", "GFLOP/s", "GB/s", "bound by", "of that peak"];
  const rows = kernels
    .slice(0, 5)
    .map(({ name, calls, milliseconds, gflops, gbps, bound, ofPeak }) => [
      ...[name, number(calls), number(milliseconds), percent(milliseconds / gpuMilliseconds)],
      ...[number(gflops), number(gbps), bound, percent(ofPeak)],
    ]);
  const sum = `${name}: ${number(gpuMilliseconds)} ms in ${dispatches} dispatches; the five largest shares:`;
  return ["", sum, "", ...table(heads, rows)];
}

/** The section of one card. */
export function gpuLines(results: GpuResults): string[] {
  const { machine, peak, torch_copy_gbps, parts, check } = results;
  const { card, adapter, torch } = machine;
  const notes = parts.flatMap(({ name, status, notes }) => [
    ...(status === "done" ? [] : [`${name}: ${status}`]),
    ...notes.map((note) => `${name}: ${note.split("\n")[0]}`),
  ]);
  const facts = [
    `Measured ${results.date.slice(0, 10)} in ${number(results.seconds)} s${results.quick ? " (--quick)" : ""}${results.commit ? ` at ${results.commit.slice(0, 7)}` : ""}.`,
    adapter &&
      `Adapter ${adapter.adapter}, ${adapter.lanes}; matrix units ${adapter.matrix_shapes.join(", ") || "none"}.`,
    card &&
      `Driver ${card.driver_version}, ${card["clocks.max.sm"]} and ${card["clocks.max.memory"]} at most, ${card["power.limit"]}.`,
    torch?.version &&
      `PyTorch ${torch.version}${torch.cuda ? ` with CUDA ${torch.cuda}` : ""} on ${torch.device}.`,
    adapter && `All figures with Dawn's switches \`${adapter.dawn.join(" ")}\`, which pages do not have.`,
    peak &&
      `Peaks: ${number(peak.gflops)} GFLOP/s of f32 multiply-adds; a copy of ${number(peak.copy_bytes / 1e6)} MB ${number(peak.copy_gbps)} GB/s${torch_copy_gbps ? `, PyTorch's ${number(torch_copy_gbps)}` : ""}.`,
  ].filter(Boolean) as string[];
  const checked = check
    ? `- \`casement doctor --check\`: ${check.passed} right${check.failed.length > 0 ? `, **wrong: ${check.failed.join("; ")}**` : ""}.`
    : "- `casement doctor --check`: not run.";
  return [
    `## ${card?.name ?? adapter?.adapter ?? "No adapter"}`,
    "",
    ...facts,
    "",
    ...targetTable(results, gpuTargets),
    "",
    "### Numbers",
    "",
    checked,
    ...opsLine("Op table on matrix units", results.matrix),
    ...opsLine("Op table", results.ops),
    "",
    "### Products",
    "",
    "The ratio is the time of eager PyTorch in the same precision over ours, for f16 the faster of its f16 and bf16.",
    "",
    ...caseTable(results, "products"),
    "",
    "### Attention",
    "",
    ...caseTable(results, "attention"),
    "",
    "### Bound by memory",
    "",
    ...caseTable(results, "memory"),
    "",
    "### Training steps",
    "",
    "Forward, backward, clipping and AdamW; ours captured. Memory: all that our step holds, and the peak of PyTorch's",
    "allocator. PyTorch's f16 and bf16 are autocast.",
    "",
    ...stepTable(results.steps),
    ...results.profiles.flatMap(profileLines),
    ...(notes.length > 0 ? ["", "Left out or cut short:", "", ...notes.map((note) => `- ${note}`)] : []),
  ];
}

/** Cases and steps that PyTorch was timed beside, as the plot of ratios takes them. */
export function besideTorch({ cases, steps }: GpuResults) {
  const list = [
    ...cases.map((result) => ({ result, precision: precisionOf(result) })),
    ...steps.map((result) => ({ result, precision: result.precision })),
  ];
  return list.flatMap(({ result, precision }) => {
    const { name, ours, torch, failure } = result;
    const eager = eagerTime(torch, precision);
    if (!ours || !eager || failure) return [];
    const tf32 = torchTime(torch, "tf32");
    const peers: Record<string, number> = {
      [precision === "f32" ? "PyTorch f32" : "PyTorch f16 or bf16"]: eager.ms,
      ...(tf32 && { "PyTorch TF32": tf32.ms }),
    };
    return [{ name, ours_ms: ours.ms, peers, ratio_best_peer: eager.ms / ours.ms }];
  });
}
