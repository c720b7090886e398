// The file that the bench writes, and the sums over it.
import { z } from "zod";

const milliseconds = z.number().positive();

const caseSchema = z.strictObject({
  name: z.string().min(1),
  ours_ms: milliseconds,
  /** Medians of the others, by engine; those of a CPU are not counted below. */
  peers: z.record(z.string(), milliseconds),
  /** Time of the fastest WebGPU peer over ours; null where there is none. */
  ratio_best_peer: z.number().positive().nullable(),
  gflops: z.number().positive().nullable(),
  /** Share of the adapter's measured peak: of its arithmetic, or of its memory for what has little arithmetic. */
  fraction_of_peak: z.number().positive().nullable(),
});

export const resultsSchema = z.strictObject({
  adapter: z.string().min(1),
  cases: z.array(caseSchema),
  /** Geometric mean of the ratios; null without peers. */
  geomean_ratio: z.number().positive().nullable(),
});

export type CaseResult = z.infer<typeof caseSchema>;
export type Results = z.infer<typeof resultsSchema>;

/** Engines that don't run on the adapter: reported, not counted. */
export const cpuPeers: readonly string[] = ["onnxruntime-cpu"];

export function ratioOf(ours: number, peers: Readonly<Record<string, number>>): number | null {
  const others = Object.entries(peers).flatMap(([name, time]) => (cpuPeers.includes(name) ? [] : [time]));
  return others.length > 0 ? Math.min(...others) / ours : null;
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
