// Which variant of an op runs for a shape. The op's own rule decides, unless `Engine.tune` has timed the variants on
// this device: then the fastest runs, eagerly and in captured steps alike. Variants add in different orders, so results
// of two choices differ in the last bits; a store keeps the table, and a later run gets the same bits again.

import type { Kernel } from "../gpu/kernel.ts";
import type { Choice } from "../tensor/tensor.ts";

/** Where the table stays between runs: a file, IndexedDB, whatever an app has. Neither method may throw. */
export interface ChoiceStore {
  /** What was written last; null where nothing was. */
  read(): Promise<string | null>;
  /** Keeps a text in place of what was written before. */
  write(text: string): Promise<void>;
}

/** One line of what `Engine.tune` measured. */
export interface Tuned {
  key: string;
  variant: string;
  /** Milliseconds of each variant that was timed to the end, the rule's first. */
  milliseconds: Record<string, number>;
}

interface Saved {
  adapter: string;
  choices: Record<string, { variant: string; kernels: string }>;
}

export class Choices {
  private readonly chosen = new Map<string, { variant: string; kernels: string }>();
  private noted: Map<string, Choice> | null = null;

  constructor(
    /** Names adapter and driver: measurements of another don't count. */
    private readonly adapter: string,
    private readonly store: ChoiceStore | null,
  ) {}

  /** Reads the store. A table that is broken or another adapter's is ignored with one line of warning. */
  async load(): Promise<void> {
    const text = await this.store?.read();
    if (text === undefined || text === null) return;
    const saved = parse(text);
    if (!saved) console.warn("The saved choices of kernels are not readable and were ignored.");
    else if (saved.adapter !== this.adapter) {
      console.warn(
        `The saved choices of kernels are of another adapter (${saved.adapter}) and were ignored.`,
      );
    } else for (const [key, value] of Object.entries(saved.choices)) this.chosen.set(key, value);
  }

  /** The variant to run. */
  pick<V extends string>(choice: Choice<V>): V {
    const known = this.known(choice);
    if (known !== undefined) return known;
    this.noted?.set(choice.key, choice as unknown as Choice);
    return choice.variants[0]!;
  }

  /** The choices between several variants that `work` comes to and that nothing was measured for. */
  note(work: () => void): Choice[] {
    const noted = new Map<string, Choice>();
    this.noted = noted;
    try {
      work();
    } finally {
      this.noted = null;
    }
    return [...noted.values()].filter(({ variants }) => variants.length > 1);
  }

  /** Keeps what was measured. */
  async keep(measured: readonly { choice: Choice; variant: string }[]): Promise<void> {
    for (const { choice, variant } of measured) {
      this.chosen.set(choice.key, { variant, kernels: fingerprint(choice.kernels) });
    }
    const saved: Saved = { adapter: this.adapter, choices: Object.fromEntries(this.chosen) };
    await this.store?.write(`${JSON.stringify(saved, null, 1)}\n`);
  }

  private known<V extends string>(choice: Choice<V>): V | undefined {
    const entry = this.chosen.get(choice.key);
    if (!entry || entry.kernels !== fingerprint(choice.kernels)) return undefined;
    return choice.variants.find((variant) => variant === entry.variant);
  }
}

/** The table in a text, or null where it is none. */
function parse(text: string): Saved | null {
  try {
    const { adapter, choices } = JSON.parse(text) as Partial<Saved>;
    const entries = Object.values(choices ?? {});
    const whole = entries.every(
      (entry) => `${typeof entry?.variant} ${typeof entry?.kernels}` === "string string",
    );
    return typeof adapter === "string" && choices && whole ? { adapter, choices } : null;
  } catch {
    return null;
  }
}

const fingerprints = new WeakMap<readonly Kernel[], string>();

/** A number for the text of kernels (FNV-1a, 32 bits). */
function fingerprint(kernels: readonly Kernel[]): string {
  const known = fingerprints.get(kernels);
  if (known !== undefined) return known;
  let hash = 0x811c9dc5;
  for (const char of JSON.stringify(kernels)) hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  const text = (hash >>> 0).toString(16);
  fingerprints.set(kernels, text);
  return text;
}

/** Runs of one variant in a sample, so that a sample lasts long beside what a submit costs. */
const sampleMilliseconds = 3;
const samples = 5;
/** A variant this much slower than the best is dropped after its first run. */
const hopeless = 3;
/** Another variant than the rule's has to be this much faster: below, noise would choose. */
const margin = 0.95;

/**
 * Times the variants of one choice in turns: medians of a few samples, each long enough to outweigh its submit.
 * `run` records one run, `idle` resolves when all that was recorded is done.
 */
export async function timeVariants(
  variants: readonly string[],
  run: (variant: string) => void,
  idle: () => Promise<void>,
): Promise<{ variant: string; milliseconds: Record<string, number> }> {
  const sample = async (variant: string, repeats: number) => {
    const start = performance.now();
    for (let i = 0; i < repeats; i++) run(variant);
    await idle();
    return (performance.now() - start) / repeats;
  };
  // One run of each first: their pipelines compile at once.
  for (const variant of variants) run(variant);
  await idle();
  const firsts: number[] = [];
  for (const variant of variants) firsts.push(await sample(variant, 1));
  const limit = hopeless * Math.min(...firsts);
  const left = variants.filter((_, i) => firsts[i]! <= limit);
  const times = left.map((): number[] => []);
  for (let i = 0; i < samples; i++) {
    for (const [at, variant] of left.entries()) {
      const repeats = Math.max(
        1,
        Math.min(50, Math.round(sampleMilliseconds / firsts[variants.indexOf(variant)]!)),
      );
      times[at]!.push(await sample(variant, repeats));
    }
  }
  const medians = times.map((list) => list.sort((a, b) => a - b)[samples >> 1]!);
  let best = medians.indexOf(Math.min(...medians));
  if (left[0] === variants[0] && medians[best]! > margin * medians[0]!) best = 0;
  const milliseconds = Object.fromEntries(left.map((variant, i) => [variant, medians[i]!]));
  return { variant: left[best]!, milliseconds };
}
