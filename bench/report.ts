// docs/performance.md: what lies between its marks is drawn from bench/results, what others wrote around them stays.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { type Growth, growthSchema } from "./growth.ts";
import { plotMemory, plotRatios, plotTime } from "./plots.ts";
import { type CaseResult, type Results, resultsSchema } from "./results.ts";
import { isMet, type Target, targets } from "./targets.ts";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const page = folder("../docs/performance.md");
const marks = ["<!-- bench: begin -->", "<!-- bench: end -->"] as const;

const number = (value: number | null | undefined) =>
  value === null || value === undefined
    ? ""
    : value >= 1000
      ? Math.round(value).toLocaleString("en")
      : `${Number(value.toPrecision(3))}`;

function caseTable(cases: readonly CaseResult[]): string[] {
  const peers = [...new Set(cases.flatMap((result) => Object.keys(result.peers)))];
  const cells = (result: CaseResult) => [
    result.name,
    number(result.ours_ms),
    number(result.gflops),
    result.fraction_of_peak === null ? "" : `${Math.round(result.fraction_of_peak * 100)} %`,
    ...peers.map((peer) => number(result.peers[peer])),
    result.ratio_best_peer === null ? "" : `**${result.ratio_best_peer.toFixed(2)}**`,
  ];
  const row = (texts: string[]) => `| ${texts.join(" | ")} |`;
  return [
    row(["case", "ours, ms", "GFLOP/s", "of peak", ...peers.map((peer) => `${peer}, ms`), "ratio"]),
    row(["---", ...Array.from({ length: peers.length + 4 }, () => "--:")]),
    ...cases.map((result) => row(cells(result))),
  ];
}

function targetTable(results: Results): string[] {
  const line = (target: Target) => {
    const value = target.value(results);
    if (value === null) return `| ${target.name} | ${target.goal} | not measured | |`;
    const apart = target.atMost ? value.at / target.limit : target.limit / value.at;
    const verdict = isMet(target, value.at) ? "met" : `missed by a factor of ${apart.toFixed(2)}`;
    return `| ${target.name} | ${target.goal} | ${number(value.at)}${value.where ? ` (${value.where})` : ""} | ${verdict} |`;
  };
  return ["| target | | measured | |", "|---|---|--:|---|", ...targets.map(line)];
}

async function section(slug: string, results: Results, growth: Growth | null): Promise<string[]> {
  const images = folder("../docs/images/");
  await mkdir(images, { recursive: true });
  const put = async (name: string, alt: string, svg: string) => {
    await writeFile(`${images}${name}-${slug}.svg`, `${svg}\n`);
    return ["", `![${alt}](images/${name}-${slug}.svg)`];
  };
  const lines = [`## ${results.adapter}`, "", ...targetTable(results), "", ...caseTable(results.cases)];
  if (results.geomean_ratio !== null) {
    lines.push("", `Geometric mean of the ratios: **${results.geomean_ratio.toFixed(2)}**.`);
    const alt = "How many times faster than each WebGPU peer, by case";
    lines.push(...(await put("ratios", alt, await plotRatios(results.cases))));
  }
  if (growth) {
    lines.push("", "### Growth", "");
    lines.push("A whole training step of a ViT, one size varied at a time (bench/growth.ts has the others).");
    lines.push(...(await put("growth-time", "Time of a step by size", await plotTime(growth))));
    lines.push(...(await put("growth-memory", "Memory of a step by size", await plotMemory(growth))));
  }
  return lines;
}

/** Redraws the page. */
export async function writeReport(message: (text: string) => void): Promise<void> {
  const results = folder("./results/");
  const names = (await readdir(results)).filter((name) => name.endsWith(".json")).sort();
  const json = async (name: string) => JSON.parse(await readFile(`${results}${name}`, "utf8"));
  const lines: string[] = [];
  for (const name of names.filter((name) => !name.endsWith("-growth.json"))) {
    const slug = name.replace(".json", "");
    const grown = `${slug}-growth.json`;
    const growth = names.includes(grown) ? growthSchema.parse(await json(grown)) : null;
    lines.push("", ...(await section(slug, resultsSchema.parse(await json(name)), growth)), "");
  }
  const text = await readFile(page, "utf8");
  const [from, to] = marks.map((mark) => text.indexOf(mark)) as [number, number];
  if (from < 0 || to < from) throw new Error(`${page} lacks the lines ${marks.join(" and ")}.`);
  await writeFile(page, `${text.slice(0, from + marks[0].length)}\n${lines.join("\n")}\n${text.slice(to)}`);
  message(`Rewrote ${page}`);
}
