// `casement doctor`: what this machine offers casement, what to do where it offers no adapter, and whether its driver
// computes right.
import type { Verdict } from "../cases/driver.ts";
import { featuresOf, limitsOf } from "../cases/offers.ts";
import {
  type AdapterReport,
  adapterPlan,
  browserPlan,
  explainMissingAdapter,
  findChromium,
  planLines,
  probeAdapter,
} from "./advice.mjs";
import { exit, type Output } from "./output.ts";

/** The op table is much to load for all other commands. */
const loadCheck = async () => (await import("./driver.ts")).checkDriver;

function row(label: string, value: string): string {
  return `  ${label.padEnd(38)}${value}`;
}

/** The part on the adapter, a fallback where a feature is missing. */
export function adapterLines(adapter: AdapterReport): string[] {
  return [
    "adapter",
    row("vendor", adapter.vendor || "not given"),
    row("architecture", adapter.architecture || "not given"),
    row("description", adapter.description || "not given"),
    row("device", adapter.device || "not given"),
    "",
    "features",
    ...featuresOf(adapter).map(({ name, words }) => row(name, words)),
    "",
    "limits",
    ...limitsOf(adapter).map(({ name, words }) => row(name, words)),
  ];
}

/** The version of sharp where it is installed and its native part loads. */
async function sharpVersion(): Promise<string | undefined> {
  try {
    const { default: sharp } = await import("sharp");
    return sharp.versions.sharp;
  } catch {
    return undefined;
  }
}

/** One line for each case of the check, more where the driver gets it wrong; `npm run gpu` reads them. */
export function verdictLines({ name, failures, skipped, error }: Verdict): string[] {
  const line = (verdict: string) => `  ${name.padEnd(51)} ${verdict}`;
  if (skipped) return [line(`skipped: ${skipped}`)];
  if (failures.length === 0) return [line(`right, error ${error.toExponential(1)}`)];
  return [line("WRONG"), ...failures.flatMap((failure) => `${failure}`.split("\n")).map(indent)];
}

const indent = (line: string) => `    ${line}`;

/**
 * Prints what this machine offers: Node, the adapter with its features and limits, Chromium and sharp; with `check` also
 * whether the driver computes ops right, forward and backward, against float64.
 * @returns the exit status: 0 with an adapter, and one that computes right where that was checked; 1 otherwise
 */
export async function doctor(output: Output, { check = false }: { check?: boolean }): Promise<number> {
  const { adapter, log } = probeAdapter();
  const chromium = findChromium();
  const sharp = await sharpVersion();
  const remedy = adapter
    ? undefined
    : { reason: explainMissingAdapter(), commands: planLines(adapterPlan()) };
  const right = (verdicts: Verdict[]) => verdicts.every(({ failures }) => failures.length === 0);
  const checkAll = async (heard?: (verdict: Verdict) => void) =>
    adapter && check ? (await loadCheck())(heard) : [];
  if (output.json) {
    const { version: node, platform, arch } = process;
    const verdicts = await checkAll();
    const report = {
      ...{ node, platform, arch, adapter: adapter ?? null, chromium: chromium ?? null, sharp: sharp ?? null },
      ...(remedy && { remedy }),
      ...(adapter && check && { check: { right: right(verdicts), cases: verdicts } }),
    };
    output.result(report, "");
    return adapter && right(verdicts) ? exit.done : exit.failed;
  }

  const install = planLines(browserPlan()).join(" && ");
  const noChromium = `no: browser tests are skipped${install ? `; to get it: ${install}` : ""}`;
  const lines = [
    "system",
    row("node", process.version),
    row("platform", `${process.platform} ${process.arch}`),
    row("chromium", chromium ?? noChromium),
    row("sharp", sharp ?? "no: pictures can't be decoded in Node (npm ci installs it)"),
    "",
  ];
  if (adapter) lines.push(...adapterLines(adapter));
  if (remedy) {
    lines.push("adapter", `  none. ${remedy.reason}`);
    if (log) lines.push("", "what the driver said", ...log.split("\n").map((line) => `  ${line}`));
    lines.push("", "to get one", ...remedy.commands);
  }
  output.lines(lines.join("\n"));
  if (!adapter || !check) return adapter ? exit.done : exit.failed;

  output.lines("\nops on this driver, forward and backward, against float64");
  const verdicts = await checkAll((verdict) => output.lines(verdictLines(verdict).join("\n")));
  const wrong = verdicts.filter(({ failures }) => failures.length > 0);
  const skipped = verdicts.filter((verdict) => verdict.skipped !== null).length;
  const count = verdicts.length - skipped;
  output.lines(
    wrong.length === 0
      ? `\n${count} cases are right, ${skipped} could not run here.`
      : `\n${wrong.length} of ${count} cases are WRONG on this driver: ${wrong.map(({ name }) => name).join("; ")}.\nUpdate the driver, or take another adapter; results of these ops can't be trusted here.`,
  );
  return right(verdicts) ? exit.done : exit.failed;
}
