// `casement doctor`: what this machine offers casement, what to do where it offers no adapter, and whether its driver
// computes right.
import type { Verdict } from "../cases/driver.ts";
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

const BYTES = ["bytes", "KiB", "MiB", "GiB"];

/** The limits that decide which kernels and batch sizes fit, with their units. */
const LIMITS: [name: string, unit: string][] = [
  ["maxBufferSize", "bytes"],
  ["maxStorageBufferBindingSize", "bytes"],
  ["maxStorageBuffersPerShaderStage", "buffers"],
  ["maxComputeWorkgroupStorageSize", "bytes"],
  ["maxComputeInvocationsPerWorkgroup", "invocations"],
  ["maxComputeWorkgroupsPerDimension", "workgroups"],
  ["maxImmediateSize", "bytes"],
];

interface Feature {
  name: string;
  /** What casement gains from the feature. */
  gain: string;
  /** What casement does without it. */
  fallback: string;
}

const FEATURES: Feature[] = [
  {
    name: "shader-f16",
    gain: "half-precision kernels: half the memory traffic",
    fallback: "everything is computed and kept in f32, and a precision of f16 is refused",
  },
  {
    name: "subgroups",
    gain: "reductions and broadcasts between lanes without shared memory",
    fallback: "kernels go through workgroup memory and barriers",
  },
  {
    name: "subgroup-size-control",
    gain: "kernels can ask for one subgroup size",
    fallback: "kernels that count on a size are used only where the smallest size equals the largest",
  },
  {
    name: "timestamp-query",
    gain: "`profile` reads the time of each dispatch from the GPU",
    fallback: "`profile` runs each kernel's dispatches by themselves and takes the time by the wall clock",
  },
  {
    name: "chromium-experimental-subgroup-matrix",
    gain: "matrix products on tensor cores",
    fallback: "matrix products use ordinary arithmetic",
  },
];

function withUnit(value: number, unit: string): string {
  if (unit !== "bytes") return `${value} ${unit}`;
  // A limit of 4 GiB is often given as one byte less.
  const rounded = value % 1024 === 1023 ? value + 1 : value;
  let scale = 0;
  while (scale < BYTES.length - 1 && rounded >= 1024 ** (scale + 1)) scale++;
  return `${Number((rounded / 1024 ** scale).toFixed(1))} ${BYTES[scale]}`;
}

/** What an adapter adds to a feature's bare presence: subgroup sizes, matrix shapes. */
function detail(adapter: AdapterReport, feature: string): string {
  if (feature === "subgroups") {
    const { subgroupMinSize: min, subgroupMaxSize: max } = adapter;
    return min === max ? `, size ${min}` : `, sizes ${min} to ${max}`;
  }
  if (feature !== "chromium-experimental-subgroup-matrix") return "";
  const shapes = adapter.subgroupMatrixConfigs.map(
    (c) => `${c.componentType} to ${c.resultComponentType} ${c.M}x${c.N}x${c.K}`,
  );
  return `, shapes (MxNxK): ${[...new Set(shapes)].join(", ")}`;
}

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
    ...FEATURES.map(({ name, gain, fallback }) =>
      adapter.features.includes(name)
        ? row(name, `yes${detail(adapter, name)}: ${gain}`)
        : row(name, `no: ${fallback}`),
    ),
    "",
    "limits",
    ...LIMITS.filter(([name]) => name in adapter.limits).map(([name, unit]) =>
      row(name, withUnit(adapter.limits[name], unit)),
    ),
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

/** One line for each case of the check, more where the driver gets it wrong. */
export function verdictLines({ name, failures, skipped, error }: Verdict): string[] {
  if (skipped) return [`  ${name.padEnd(52)}skipped: ${skipped}`];
  if (failures.length === 0) return [`  ${name.padEnd(52)}right, error ${error.toExponential(1)}`];
  return [
    `  ${name.padEnd(52)}WRONG`,
    ...failures.flatMap((failure) => `${failure}`.split("\n")).map(indent),
  ];
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
