// The bench's command line; README.md has its table.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { namesAsked } from "../cases/filter.ts";
import { usualPlan } from "../cases/timing.ts";
import { requireWritable, writeAtomically } from "../train/run/disk.ts";
import { coldStart } from "./cold-start.ts";
import { measureGrowth } from "./growth.ts";
import type { OurSide } from "./ours.ts";
import { installPeers, startPeers } from "./peers.ts";
import { ask } from "./protocol.ts";
import { writeReport } from "./report.ts";
import {
  type CaseResult,
  geomean,
  type Results,
  ratioCounted,
  resultsSchema,
  slug,
  together,
} from "./results.ts";
import { MismatchError, measure, type Plan } from "./run.ts";
import { subjects } from "./subjects.ts";
import { end, UsageError } from "./usage.ts";

interface Flags {
  peers?: boolean;
  json?: string;
  quick?: boolean;
  filter?: string[];
  record?: boolean;
  growth?: boolean;
  report?: boolean;
}

const resultsFolder = fileURLToPath(new URL("./results/", import.meta.url));
/** Seconds after which --quick starts no further case, so that it ends within a minute. */
const quickSeconds = 40;

const say = (text: string) => console.log(text);

const save = (path: string, value: unknown) => writeAtomically(path, `${JSON.stringify(value, null, 2)}\n`);

/** What the flags choose of the cases. Throws UsageError where that is nothing, or not what can be recorded. */
function choose({ quick, filter, record }: Flags) {
  if (record && (quick || filter)) {
    // It takes the place of the last one, and docs/performance.md is drawn from it.
    throw new UsageError("--record keeps a whole run, without --quick and --filter; --json keeps any.");
  }
  if (filter?.some((text) => text.trim() === "")) throw new UsageError("--filter needs a text.");
  const all = subjects.filter((subject) => !quick || subject.quick);
  const names = all.map(({ name }) => name);
  const asked = new Set(filter ? filter.flatMap((text) => [...namesAsked(names, text)]) : names);
  if (asked.size === 0) {
    const which = quick ? "No case of --quick" : "No case";
    throw new UsageError(`${which} has ${filter!.join(" or ")} in its name.`);
  }
  return all.filter(({ name }) => asked.has(name));
}

function line({ name, ...figures }: CaseResult): string {
  const { ours_ms, eager_ms, peers, ratio_best_peer, ratio_range, gflops, fraction_of_peak } = figures;
  const parts = [
    `${ours_ms.toPrecision(3)} ms`,
    ...(gflops === null ? [] : [`${gflops.toPrecision(3)} GFLOP/s`]),
    ...(fraction_of_peak === null ? [] : [`${Math.round(fraction_of_peak * 100)} % of peak`]),
    ...(eager_ms === null ? [] : [`eager ${eager_ms.toPrecision(3)} ms`]),
    ...Object.entries(peers).map(([peer, time]) => `${peer} ${time.toPrecision(3)} ms`),
    ...(ratio_best_peer === null ? [] : [`ratio ${ratio_best_peer.toFixed(2)}`]),
    ...(ratio_range === null
      ? []
      : [`by round ${ratio_range.map((ratio) => ratio.toFixed(2)).join(" to ")}`]),
  ];
  return `  ${name}: ${parts.join(", ")}`;
}

/** A time that nothing is compared with. */
const single = (name: string, ours_ms: number): CaseResult => ({
  ...{ name, ours_ms, eager_ms: null, peers: {}, ratio_best_peer: null, ratio_range: null },
  ...{ gflops: null, fraction_of_peak: null },
});

/** Measures what the flags ask for. Returns whether all went well. */
async function bench(flags: Flags): Promise<boolean> {
  const chosen = choose(flags);
  if (flags.json === "") throw new UsageError("--json needs the name of a file.");
  if (flags.json) await requireWritable(flags.json);
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  if (flags.peers) installPeers(say);
  const { side: ours, end } = ask<OurSide>("ours.ts");
  // It starts when it is first asked.
  const { side: eager, end: endEager } = ask("ours.ts");
  const ends = [end, endEager];
  try {
    const adapter = (await ours.open())!;
    const peers = flags.peers ? await startPeers(adapter, say) : [];
    ends.push(...peers.map((peer) => peer.end));
    const peak = await ours.peak();
    say(`${adapter}: ${peak.gflops.toFixed(1)} GFLOP/s, ${peak.gbps.toFixed(1)} GB/s at most`);
    const plan: Plan = {
      ...{ ours, eager, peers, peak, message: say },
      ...(flags.quick ? { rounds: 3, batch: 20 } : usualPlan),
    };
    const resultsOf = (measured: readonly CaseResult[]): Results =>
      resultsSchema.parse({
        adapter,
        cases: measured,
        geomean_ratio: geomean(measured.map(ratioCounted)),
      });
    const cases = new Map<string, CaseResult>();
    let failed = false;
    const keep = async (result: CaseResult) => {
      const first = cases.get(result.name);
      cases.set(result.name, first ? together(first, result) : result);
      say(line(result));
      // Whoever stops a long run keeps what it has measured.
      if (flags.json) await save(flags.json, resultsOf([...cases.values()]));
    };
    const pass = async () => {
      for (const subject of chosen) {
        if (flags.quick && seconds() > quickSeconds) {
          say(`Left out for time: ${subject.name}`);
          continue;
        }
        try {
          await keep(await measure(subject, plan));
        } catch (error) {
          failed = true;
          console.error(error instanceof MismatchError ? `WRONG: ${error.message}` : error);
        }
      }
      if (flags.quick || flags.filter) return;
      const { milliseconds, dispatches } = await ours.replayTime();
      await keep(single(`host time of a replay, a dispatch of ${dispatches} of the ViT step`, milliseconds));
      await keep(single("cold start, from process start to emoji-tiny's first step", await coldStart()));
    };
    await pass();
    if (flags.record) {
      say("Once more, to see which figures hold:");
      await pass();
    }
    const results = resultsOf([...cases.values()]);
    if (results.geomean_ratio !== null)
      say(`Geometric mean of (best WebGPU peer / ours): ${results.geomean_ratio.toFixed(2)}`);
    if (flags.json) {
      await save(flags.json, results);
      say(`Wrote ${flags.json}`);
    }
    if (flags.record) await save(join(resultsFolder, `${slug(adapter)}.json`), results);
    if (flags.growth) {
      const growth = await measureGrowth(adapter, ours, say);
      await save(join(resultsFolder, `${slug(adapter)}-growth.json`), growth);
    }
    return !failed;
  } finally {
    for (const end of ends) end();
  }
}

// Who reads no more, as `head` does, has seen enough.
process.stdout.on("error", () => process.exit(0));

const help = `npm run bench -- OPTIONS: measures the op table and whole training steps on this machine's adapter

  --peers        Measure tfjs, jax-js and onnxruntime as well; installs them when first used
  --json FILE    Write the results as JSON
  --quick        A few cases, within a minute
  --filter TEXT  Only cases whose names contain this, or else one of these between commas; may be repeated
  --growth       Also measure how a step's time and memory grow; written to bench/results
  --record       Measure twice, write the results to bench/results under the adapter's name, and redraw docs/performance.md
  --report       Only redraw docs/performance.md from bench/results`;

try {
  const { values: flags } = parseArgs({
    options: {
      ...{ peers: { type: "boolean" }, quick: { type: "boolean" }, growth: { type: "boolean" } },
      ...{ record: { type: "boolean" }, report: { type: "boolean" }, help: { type: "boolean", short: "h" } },
      json: { type: "string" },
      filter: { type: "string", multiple: true },
    },
  });
  if (flags.help) say(help);
  else if (flags.report && Object.keys(flags).length > 1)
    throw new UsageError("--report measures nothing: it goes alone.");
  else {
    if (!flags.report && !(await bench(flags))) process.exitCode = 1;
    if (flags.report || flags.record || flags.growth) await writeReport(say);
  }
  process.exit(process.exitCode ?? 0);
} catch (error) {
  end(error);
}
