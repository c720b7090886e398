// Systems side by side, as Markdown: recall of each on every split with its interval, its difference to the first system
// query by query, and what that says of the claims of the paper. Nothing here is written by hand, so that the words can't
// say other than the figures.
import { bootstrap, hits, type Interval } from "../eval/bootstrap.ts";
import type { Metrics, Recall } from "../eval/metrics.ts";

/** A finished run. */
export interface ComparedRun {
  seed: number;
  metrics: Metrics;
  /** By split, the rank of every query's best right answer. */
  ranks: Record<string, readonly number[]>;
}

/** A model or rival with its runs, by seed. */
export interface System {
  name: string;
  about: string;
  runs: readonly ComparedRun[];
}

/** What the paper says, as a comparison of the first system with others. */
export interface Claim {
  says: string;
  against: readonly string[];
}

const recalls = ["r1", "r5", "r10", "r50"] as const;
const topRank = 1;

const percent = (share: number) => (100 * share).toFixed(1);
const signed = (share: number) => `${share >= 0 ? "+" : "−"}${percent(Math.abs(share))}`;
const between = ({ low, high }: Interval, text: (share: number) => string) => `${text(low)} to ${text(high)}`;
const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const head = (names: readonly string[], texts: number) => [
  row(names),
  `|${names.map((_, i) => (i < texts ? "---" : "--:")).join("|")}|`,
];

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value / values.length, 0);
}

const seedsOf = ({ runs }: System) => runs.map(({ seed }) => seed);

/** Runs of a system with these seeds, in their order. */
const withSeeds = ({ runs }: System, seeds: readonly number[]) =>
  seeds.map((seed) => runs.find((run) => run.seed === seed)!);

/** How much the first has above the second at R@1, over the seeds that both have; null where they share none. */
export interface Lead extends Interval {
  /** By seed. */
  each: number[];
}

/** The lead of one system over another on a split, query by query. */
export function leadOf(first: System, other: System, split: string): Lead | null {
  const seeds = seedsOf(first).filter((seed) => seedsOf(other).includes(seed));
  if (seeds.length === 0) return null;
  const [mine, theirs] = [first, other].map((system) => withSeeds(system, seeds));
  const ranks = (runs: readonly ComparedRun[]) => runs.map((run) => run.ranks[split]!);
  const [a, b] = [hits(ranks(mine!), topRank), hits(ranks(theirs!), topRank)];
  const each = seeds.map((_, i) => {
    const [one, two] = [mine!, theirs!].map((runs) => mean([...hits(ranks([runs[i]!]), topRank)]));
    return one! - two!;
  });
  return { ...bootstrap(a.map((value, i) => value - b[i]!)), each };
}

/** Whether a claim holds: the interval is above 0, and so is every seed. */
type Verdict = "holds" | "fails" | "open";
export function verdictOf({ low, high, each }: Lead): Verdict {
  if (low > 0 && each.every((lead) => lead > 0)) return "holds";
  return high < 0 && each.every((lead) => lead < 0) ? "fails" : "open";
}

const verdicts: Record<Verdict, string> = { holds: "yes", fails: "**no, the reverse**", open: "not shown" };

/** The table of one split. */
function splitPart(name: string, systems: readonly System[]): string[] {
  const [first] = systems as [System];
  const [example] = first.runs as [ComparedRun];
  const split = example.metrics.splits[name]!;
  const lines = systems.map((system) => {
    const ranks = system.runs.map((run) => run.ranks[name]!);
    const own = bootstrap(hits(ranks, topRank));
    const lead = system === first ? null : leadOf(first, system, name);
    const cells = recalls
      .slice(1)
      .map((key) => mean(system.runs.map((run) => run.metrics.splits[name]![key])).toFixed(1));
    return row([
      system.name,
      percent(own.mean),
      between(own, percent),
      system.runs.map((run) => run.metrics.splits[name]!.r1.toFixed(1)).join(", "),
      lead ? `${signed(lead.mean)} (${between(lead, signed)})` : "",
      ...cells,
    ]);
  });
  const pixels = split.pixels;
  return [
    `### ${name}`,
    "",
    `${split.queries} queries against ${split.gallery} pictures, the reference taken out; a random order reaches R@10 of ${split.chance_r10.toFixed(2)} %.`,
    "",
    ...head(["system", "R@1", "95 %", "by seed", `${first.name} leads by`, "R@5", "R@10", "R@50"], 1),
    ...lines,
    row([
      "raw 32-pixel nearest neighbours",
      pixels.r1.toFixed(1),
      "",
      "",
      "",
      ...recalls.slice(1).map((key) => pixels[key].toFixed(1)),
    ]),
    "",
  ];
}

/** The claims, each with its verdict on every split. */
function claimPart(
  claims: readonly Claim[],
  systems: readonly System[],
  splits: readonly string[],
): string[] {
  const [first] = systems as [System];
  const rows = claims.flatMap(({ says, against }) =>
    systems
      .filter(({ name }) => against.includes(name))
      .map((rival) => {
        const cells = splits.map((split) => {
          const lead = leadOf(first, rival, split);
          if (!lead) return "not measured";
          const seeds = lead.each.length === 1 ? "1 seed" : `${lead.each.length} seeds`;
          return `${verdicts[verdictOf(lead)]} (${signed(lead.mean)}, ${seeds})`;
        });
        return row([says, rival.name, ...cells]);
      }),
  );
  return [
    "### Which of the paper's claims hold here",
    "",
    `A claim holds where ${first.name} leads at R@1 with an interval above 0 and with every seed that both have; in brackets the lead in points. One seed says little.`,
    "",
    ...head(["claim", "against", ...splits], 2 + splits.length),
    ...rows,
    "",
  ];
}

/** How the first system does on each kind of change, the mean of its runs. */
function kindPart(name: string, { name: system, runs }: System): string[] {
  const [first] = runs as [ComparedRun];
  const cells = (of: (run: ComparedRun) => Recall) =>
    (["r1", "r10"] as const).map((key) => mean(runs.map((run) => of(run)[key])).toFixed(1));
  const rows = Object.entries(first.metrics.splits[name]!.kinds).map(([kind, { queries }]) =>
    row([
      kind,
      `${queries}`,
      ...cells((run) => run.metrics.splits[name]!.kinds[kind]!),
      ...cells((run) => run.metrics.splits[name]!.kinds[kind]!.pixels),
    ]),
  );
  return [
    `#### ${name}, ${system} by kind of change`,
    "",
    ...head(["kind", "queries", "R@1", "R@10", "raw pixels R@1", "raw pixels R@10"], 1),
    ...rows,
    "",
  ];
}

/**
 * The whole comparison. Systems without a run are left out; the first needs one.
 * @param budget what each run was given, in words
 */
export function compare(all: readonly System[], claims: readonly Claim[], budget: string): string {
  const systems = all.filter(({ runs }) => runs.length > 0);
  const [first] = systems;
  if (first === undefined || first !== all[0])
    throw new Error(`compare: ${all[0]?.name} has no finished run`);
  const splits = Object.keys(first.runs[0]!.metrics.splits);
  const adapters = new Set(systems.flatMap(({ runs }) => runs.map(({ metrics }) => metrics.adapter)));
  return [
    `${budget}, on ${[...adapters].join(" and ")}. Recall in percent, the mean over the seeds; the intervals are of 10,000 ` +
      "bootstrap samples of the queries, of leads paired by query, and say nothing of seeds, which stand beside them.",
    "",
    ...head(["system", "what it is", "seeds", "minutes"], 2),
    ...all.map(({ name, about, runs }) =>
      row([
        name,
        about,
        runs.map(({ seed }) => seed).join(", ") || "none yet",
        runs.length > 0 ? (mean(runs.map(({ metrics }) => metrics.seconds)) / 60).toFixed(1) : "",
      ]),
    ),
    "",
    ...splits.flatMap((name) => splitPart(name, systems)),
    ...claimPart(claims, systems, splits),
    ...splits.flatMap((name) => kindPart(name, first)),
  ]
    .join("\n")
    .trimEnd();
}
