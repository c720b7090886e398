// docs/performance.md: what lies between its marks is drawn from bench/results, what others wrote around them stays.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { besideTorch, gpuLines, noGpu } from "./gpu/report.ts";
import { type GpuResults, gpuResultsSchema, isGpuResults } from "./gpu/results.ts";
import { type Growth, growthSchema } from "./growth.ts";
import { number, table, targetTable } from "./markdown.ts";
import { plotMemory, plotRatios, plotTime } from "./plots.ts";
import { type CaseResult, type Figures, type Results, resultsSchema } from "./results.ts";
import { targets } from "./targets.ts";

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const docs = folder("../docs/");
const page = "performance.md";
const marks = ["<!-- bench: begin -->", "<!-- bench: end -->"] as const;

function caseTable(cases: readonly CaseResult[]): string[] {
  const peers = [...new Set(cases.flatMap((result) => Object.keys(result.peers)))];
  const isRaced = cases.some(({ eager_ms }) => eager_ms !== null);
  const ratio = ({ ratio_best_peer, ratio_range }: Figures) => {
    if (ratio_best_peer === null) return "";
    const range = ratio_range ? ` (${ratio_range.map((ratio) => ratio.toFixed(2)).join(" to ")})` : "";
    return `**${ratio_best_peer.toFixed(2)}**${range}`;
  };
  const cells = (name: string, figures: Figures) => [
    name,
    number(figures.ours_ms),
    ...(isRaced ? [figures.eager_ms === null ? "" : number(figures.eager_ms)] : []),
    number(figures.gflops),
    figures.fraction_of_peak === null ? "" : `${Math.round(figures.fraction_of_peak * 100)} %`,
    ...peers.map((peer) => number(figures.peers[peer])),
    ratio(figures),
  ];
  const heads = [
    ...["case", "ours, ms", ...(isRaced ? ["without capture, ms"] : []), "GFLOP/s", "of peak"],
    ...peers.map((peer) => `${peer}, ms`),
    "ratio",
  ];
  const rows = cases.flatMap((result) => [
    cells(result.name, result),
    ...(result.again ? [cells("the same in the second run", result.again)] : []),
  ]);
  return table(heads, rows);
}

/** The page and its pictures by where they lie in docs. */
type Files = Map<string, string>;

/** Puts a picture beside the page. Returns the lines that show it. */
function picture(files: Files, name: string, alt: string, svg: string): string[] {
  const path = `images/${name}.svg`;
  files.set(path, `${svg}\n`);
  return ["", `![${alt}](${path})`];
}

/** A card's figures with their plot. */
async function gpuSection(files: Files, slug: string, results: GpuResults): Promise<string[]> {
  const compared = besideTorch(results);
  const alt = "Time of PyTorch over ours, by case";
  const plot =
    compared.length > 0 ? picture(files, `torch-${slug}`, alt, await plotRatios(compared, [])) : [];
  return [...gpuLines(results), ...plot];
}

async function section(
  files: Files,
  slug: string,
  results: Results,
  growth: Growth | null,
): Promise<string[]> {
  const put = (name: string, alt: string, svg: string) => picture(files, `${name}-${slug}`, alt, svg);
  const lines = [
    `## ${results.adapter}`,
    "",
    ...targetTable(results, targets),
    "",
    ...caseTable(results.cases),
  ];
  if (results.geomean_ratio !== null) {
    lines.push("", `Geometric mean of the ratios: **${results.geomean_ratio.toFixed(2)}**.`);
    const alt = "How many times faster than each WebGPU peer, by case";
    lines.push(...put("ratios", alt, await plotRatios(results.cases)));
  }
  if (growth) {
    lines.push("", "### Growth", "");
    lines.push("A whole training step of a ViT, one size varied at a time (bench/growth.ts has the others).");
    lines.push(...put("growth-time", "Time of a step by size", await plotTime(growth)));
    lines.push(...put("growth-memory", "Memory of a step by size", await plotMemory(growth)));
  }
  return lines;
}

/** The page and its pictures as they are drawn from what lies in bench/results, by where they lie in docs. */
export async function drawReport(): Promise<Files> {
  const files: Files = new Map();
  const results = folder("./results/");
  const names = (await readdir(results)).filter((name) => name.endsWith(".json")).sort();
  const json = async (name: string) => JSON.parse(await readFile(`${results}${name}`, "utf8"));
  const lines: string[] = [];
  const gpus: string[] = [];
  for (const name of names.filter((name) => !name.endsWith("-growth.json"))) {
    const slug = name.replace(".json", "");
    const value = await json(name);
    if (isGpuResults(value)) {
      gpus.push("", ...(await gpuSection(files, slug, gpuResultsSchema.parse(value))), "");
      continue;
    }
    const grown = `${slug}-growth.json`;
    const growth = names.includes(grown) ? growthSchema.parse(await json(grown)) : null;
    lines.push("", ...(await section(files, slug, resultsSchema.parse(value), growth)), "");
  }
  lines.push(...(gpus.length > 0 ? gpus : noGpu));
  const text = await readFile(`${docs}${page}`, "utf8");
  const [from, to] = marks.map((mark) => text.indexOf(mark)) as [number, number];
  if (from < 0 || to < from) throw new Error(`${docs}${page} lacks the lines ${marks.join(" and ")}.`);
  const drawn = `${text.slice(0, from + marks[0].length)}\n${lines.join("\n")}\n${text.slice(to)}`;
  return files.set(page, drawn);
}

/** Redraws the page. */
export async function writeReport(message: (text: string) => void): Promise<void> {
  const files = await drawReport();
  await mkdir(`${docs}images`, { recursive: true });
  for (const [path, text] of files) await writeFile(`${docs}${path}`, text);
  message(`Rewrote ${docs}${page}`);
}
