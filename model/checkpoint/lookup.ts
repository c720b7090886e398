// A checkpoint's tensors under casement's names, and what is left when all have been asked for: tensors that no embedding
// depends on, and ones that are not known.
import { namePattern } from "../name-pattern.ts";
import { CheckpointError, quote } from "../safetensors.ts";
import { alternatives, type Naming, nameOf, needless, patternOf } from "./names.ts";
import { bareName } from "./recognise.ts";
import { type Checkpoint, finiteEntry, type TensorEntry } from "./tensor.ts";

/** Names of files' tensors and fields that the user has set aside. */
export class SetAside {
  private readonly patterns: { text: string; pattern: RegExp; used: boolean }[];

  constructor(texts: readonly string[]) {
    this.patterns = texts.map((text) => ({ text, pattern: namePattern(text), used: false }));
  }

  has(name: string): boolean {
    const found = this.patterns.filter(({ pattern }) => pattern.test(name));
    for (const one of found) one.used = true;
    return found.length > 0;
  }

  /** Throws CheckpointError for a pattern that nothing had: it may be misspelt. */
  requireUsed(): void {
    const idle = this.patterns.filter(({ used }) => !used).map(({ text }) => quote(text));
    if (idle.length > 0) throw new CheckpointError(`--ignore ${idle.join(", ")}: nothing is called so`);
  }
}

/** Not among the names: BERT adds the first of its token types to every token of a lone text, and so do positions here. */
export const tokenTypes = "embeddings.token_type_embeddings.weight";

export type Found = { name: string; entry: TensorEntry };

/** A checkpoint's tensors under casement's names. */
export class Lookup {
  /** Tensors by the checkpoint's name without prefix, gamma and beta by their new names. */
  private readonly byName = new Map<string, Found>();
  /** The same names with # for a layer's number. */
  private readonly inAnyLayer = new Set<string>();
  /** Names that have been asked for. */
  readonly used = new Set<string>();
  readonly naming: Naming;
  readonly size: number;
  private readonly prefix: string;
  /** What the names of the encoders begin with, behind the prefix. */
  private readonly roots: readonly string[];

  constructor({ tensors }: Checkpoint, { naming, prefix }: { naming: Naming; prefix: string }) {
    this.naming = naming;
    this.prefix = prefix;
    this.size = tensors.size;
    const firsts = [...naming.patterns].map((pattern) => pattern.slice(0, pattern.indexOf(".") + 1));
    this.roots = naming.vision && naming.text ? firsts.filter((first) => first !== "") : [""];
    for (const [name, entry] of tensors) {
      const bare = bareName(name, prefix);
      if (bare === null) continue;
      const { pattern, layer, leaf } = patternOf(bare);
      const theirs = nameOf(pattern, { layer, leaf });
      const other = this.byName.get(theirs);
      if (other)
        throw new CheckpointError(`${quote(other.name)} and ${quote(name)} are the same tensor twice`);
      this.byName.set(theirs, { name, entry: finiteEntry(name, entry) });
      this.inAnyLayer.add(nameOf(pattern, { layer: "#", leaf }));
    }
  }

  /** Under what names a parameter is kept; empty where the naming has no such thing. */
  names(ours: string): string[] {
    const { pattern, layer, leaf } = patternOf(ours);
    // A table that is a parameter here may be a layer's weight there.
    const rest = { layer, leaf: leaf || "weight" };
    return (this.naming.rows.get(pattern) ?? []).map((theirs) => {
      const all = alternatives(theirs);
      const there =
        all.find((one) => this.byName.has(nameOf(one, rest))) ?? all.find((one) => this.isThere(one));
      return nameOf(there ?? all[0], rest);
    });
  }

  /** Whether any layer has a weight or a bias of a pattern of theirs. */
  private isThere(theirs: string): boolean {
    return ["weight", "bias"].some((leaf) => this.inAnyLayer.has(nameOf(theirs, { layer: "#", leaf })));
  }

  /** Whether there is anything of a part of the model. */
  hasPart(ours: string): boolean {
    const rows = [...this.naming.rows].filter(([name]) => name.startsWith(ours));
    return rows.some(([, theirs]) => theirs.flatMap(alternatives).some((one) => this.isThere(one)));
  }

  get(theirs: string): Found | undefined {
    const found = this.byName.get(theirs);
    if (found) this.used.add(found.name);
    return found;
  }

  /** Whether any layer has a parameter, or a part of it. */
  has(ours: string): boolean {
    const { pattern, leaf } = patternOf(ours);
    const theirs = (this.naming.rows.get(pattern) ?? []).flatMap(alternatives);
    return theirs.some((one) => this.inAnyLayer.has(nameOf(one, { layer: "#", leaf: leaf || "weight" })));
  }

  /** Whether any layer attends to pictures. */
  get hasCrossAttention(): boolean {
    return [...this.inAnyLayer].some((name) => name.includes(".crossattention."));
  }

  /** BERT's table of token types. */
  get tokenTypes(): Found | undefined {
    return this.get(tokenTypes);
  }

  /** The factors of a parameter's rows: their name, and what is there; null where the model has none. */
  scale(ours: string): { name: string; found: Found | undefined } | null {
    const { pattern, layer } = patternOf(ours);
    const { scales } = this.naming;
    const theirs = scales.get(pattern);
    // A layer without them, among others that have them, lacks something.
    if (theirs === undefined || ![...scales.values()].flatMap(alternatives).some((one) => this.isThere(one)))
      return null;
    const all = alternatives(theirs);
    const name = nameOf(all.find((one) => this.isThere(one)) ?? all[0], { layer, leaf: "weight" });
    return { name, found: this.get(name) };
  }

  /** The shape of the first tensor of a parameter, undefined where it is not there. */
  whole(ours: string): readonly number[] | undefined {
    return this.byName.get(this.names(ours)[0] ?? "")?.entry.shape;
  }

  /** The same without leading ones. */
  shape(ours: string): readonly number[] | undefined {
    const whole = this.whole(ours);
    return whole && withoutLeadingOnes(whole);
  }

  /** How many layers there are under a name of casement's with #. Throws CheckpointError for an absurd number. */
  depth(ours: string): number {
    const theirs = (this.naming.rows.get(ours) ?? [])[0];
    let depth = 0;
    for (const name of this.byName.keys()) {
      const { pattern, layer } = patternOf(name);
      if (pattern === theirs) depth = Math.max(depth, Number(layer) + 1);
    }
    if (depth > this.size)
      throw new CheckpointError(`there is a layer ${depth - 1}, but too few tensors for it`);
    return depth;
  }

  /** Whether a name stands within an encoder. */
  isInside(name: string): boolean {
    const bare = bareName(name, this.prefix);
    return bare !== null && this.roots.some((root) => bare.startsWith(root));
  }

  /** Why no embedding depends on a tensor that nothing has asked for, null where one may. */
  whyNeedless(name: string): string | null {
    const bare = bareName(name, this.prefix);
    // Outside of what the naming knows, whatever stands before a name may be a holder.
    const parts = name.split(".");
    const readings = bare === null ? parts.map((_, i) => parts.slice(i).join(".")) : [bare];
    for (const [pattern, why] of needless) {
      for (const reading of readings) {
        const [match] = pattern.exec(reading) ?? [];
        if (match === undefined) continue;
        const own = bare !== null && [...this.naming.patterns].some((known) => known.startsWith(match));
        if (!(own && match === `${reading.split(".")[0]}.`)) return why;
      }
    }
    return null;
  }
}

export function withoutLeadingOnes(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((extent) => extent !== 1);
  return first < 0 ? [] : shape.slice(first);
}
