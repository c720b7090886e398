// The file that the bench writes, and the sums over it.
import { z } from "zod";

const milliseconds = z.number().positive();

/** What one run of the bench says of a case. */
const figuresSchema = z.strictObject({
  ours_ms: milliseconds,
  /** Ours without capture, in turns with the others; null where nothing is captured. */
  eager_ms: milliseconds.nullable().default(null),
  /** Medians of the others, by engine; those of a CPU are not counted below. */
  peers: z.record(z.string(), milliseconds),
  /** Time of the fastest WebGPU peer over ours; null where there is none. */
  ratio_best_peer: z.number().positive().nullable(),
  /** The least and the most that this ratio came to in one round. */
  ratio_range: z.tuple([z.number().positive(), z.number().positive()]).nullable().default(null),
  gflops: z.number().positive().nullable(),
  /** Share of the adapter's measured peak: of its arithmetic, or of its memory for what has little arithmetic. */
  fraction_of_peak: z.number().positive().nullable(),
});

const caseSchema = figuresSchema.extend({
  name: z.string().min(1),
  /** The second run, where one that was recorded differs from the first by over 15 %. */
  again: figuresSchema.optional(),
});

export const resultsSchema = z.strictObject({
  adapter: z.string().min(1),
  cases: z.array(caseSchema),
  /** Geometric mean of the ratios; null without peers. */
  geomean_ratio: z.number().positive().nullable(),
});

export type Figures = z.infer<typeof figuresSchema>;
export type CaseResult = z.infer<typeof caseSchema>;
export type Results = z.infer<typeof resultsSchema>;

/** Engines that don't run on the adapter: reported, not counted. */
export const cpuPeers: readonly string[] = ["onnxruntime-cpu"];

export function ratioOf(ours: number, peers: Readonly<Record<string, number>>): number | null {
  const others = Object.entries(peers).flatMap(([name, time]) => (cpuPeers.includes(name) ? [] : [time]));
  return others.length > 0 ? Math.min(...others) / ours : null;
}

/** By how much two runs may differ and count as one. */
const agreement = 1.15;

/** A case of two runs: the first, with the second where time or ratio differ by more than `agreement`. */
export function together(first: CaseResult, { name: _, again: __, ...second }: CaseResult): CaseResult {
  const differ = (a: number | null, b: number | null) =>
    a !== null && b !== null && Math.max(a / b, b / a) > agreement;
  const keys = ["ours_ms", "eager_ms", "ratio_best_peer"] as const;
  return keys.some((key) => differ(first[key], second[key])) ? { ...first, again: second } : first;
}

/** The ratio that counts: of two runs that differ the smaller one. */
export function ratioCounted({ ratio_best_peer, again }: CaseResult): number | null {
  const ratios = [ratio_best_peer, again?.ratio_best_peer ?? null].filter((ratio) => ratio !== null);
  return ratios.length > 0 ? Math.min(...ratios) : null;
}

export function geomean(ratios: readonly (number | null)[]): number | null {
  const known = ratios.filter((ratio) => ratio !== null);
  if (known.length === 0) return null;
  return Math.exp(known.reduce((sum, ratio) => sum + Math.log(ratio), 0) / known.length);
}

/** The adapter's short name, for file names: its first word. */
export function slug(adapter: string): string {
  return /^llvmpipe/.test(adapter)
    ? "llvmpipe"
    : adapter
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "");
}
