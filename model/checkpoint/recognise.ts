// Which naming a checkpoint follows, and what stands before its names: trainers, compilers and distributors wrap the
// model, each in an attribute of its own, and every wrapper adds a part to every name.
import { CheckpointError, quote } from "../safetensors.ts";
import { type Naming, namings, patternOf } from "./names.ts";
import type { Checkpoint } from "./tensor.ts";

/**
 * What DataParallel, torch.compile, FSDP and activation checkpointing put into names. They wrap parts of a model as well
 * as the whole, so these are dropped wherever they stand; no naming has a part that is called so.
 */
const wrappers = new Set(["module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"]);

/** Attributes that trainers keep the model in, in any order and number. Another one counts where nothing rivals it. */
const holders = new Set(["model", "student", "backbone"]);

/** RoBERTa's tensors are named as BERT's, but its positions start at 2: other sums from equal names. */
const otherModels = /roberta|camembert|data2vec|xmod/;

/** Casement keeps query, key and value of its text encoder in one, under a name that nobody else has. */
const ownName = /(^|\.)text_encoder\.encoder\.layer\.0\.attention\.self\.qkv\.weight$/;

/** Parts of a name that may be a prefix. */
const mostHolders = 10;

/** One prefix must be known by so many times more tensors than another to make it no rival. */
const outweighs = 10;

/** A naming, what stands before all of its names, and how many of the names it knows there. */
export interface Recognised {
  naming: Naming;
  prefix: string;
  known: number;
  /** Other prefixes that have as good a claim. */
  rivals: string[];
}

/** A name without the parts that wrappers put into it. */
function unwrapped(name: string): string {
  if (!/module|_orig_mod/.test(name)) return name;
  return name
    .split(".")
    .filter((part) => !wrappers.has(part))
    .join(".");
}

/** A name as its naming has it: without wrappers, and without what stands before all names; null where it stands elsewhere. */
export function bareName(name: string, prefix: string): string | null {
  const whole = unwrapped(name);
  return whole.startsWith(prefix) ? whole.slice(prefix.length) : null;
}

/** Whether a prefix is a run of the usual holders, and one that the naming has by itself behind them. */
function isUsual(prefix: string, { prefixes }: Naming): boolean {
  return prefixes.some((own) => {
    if (!prefix.endsWith(own)) return false;
    const run = prefix.slice(0, prefix.length - own.length);
    return run
      .split(".")
      .every((part, i, parts) => (i === parts.length - 1 ? part === "" : holders.has(part)));
  });
}

/**
 * The naming that knows most of the names under one prefix; null where none knows any. A prefix of holders is taken
 * before another one, a short one before a long one.
 */
export function recognise(names: Iterable<string>): Recognised | null {
  const found = namings.map(() => new Map<string, Set<string>>());
  for (const name of names) {
    const whole = unwrapped(name);
    for (let at = 0, holder = 0; holder <= mostHolders; holder++) {
      const { pattern } = patternOf(whole.slice(at));
      namings.forEach(({ patterns }, i) => {
        if (!patterns.has(pattern)) return;
        const prefix = whole.slice(0, at);
        const known = found[i].get(prefix) ?? new Set();
        found[i].set(prefix, known.add(name));
      });
      const dot = whole.indexOf(".", at);
      if (dot < 0) break;
      at = dot + 1;
    }
  }
  const all = namings.flatMap((naming, i) =>
    Array.from(found[i], ([prefix, known]) => ({ naming, prefix, known: known.size })),
  );
  const best = (some: typeof all) =>
    some.reduce<(typeof all)[number] | null>((first, next) => {
      if (!first || next.known > first.known) return next;
      return next.known === first.known && next.prefix.length < first.prefix.length ? next : first;
    }, null);
  const knownBy = ({ naming, prefix }: (typeof all)[number]) => found[namings.indexOf(naming)].get(prefix)!;
  /** Whether another knows the same tensors, and more: namings have some names in common. */
  const isPart = (one: (typeof all)[number]) =>
    all.some((more) => more.known > one.known && [...knownBy(one)].every((name) => knownBy(more).has(name)));
  const usual = best(all.filter((one) => isUsual(one.prefix, one.naming) && !isPart(one)));
  const other = best(all.filter(({ naming, prefix }) => !isUsual(prefix, naming)));
  if (!other || (usual && usual.known * outweighs >= other.known)) return usual && { ...usual, rivals: [] };
  const apart = ({ prefix }: { prefix: string }) =>
    !prefix.startsWith(other.prefix) && !other.prefix.startsWith(prefix);
  const prefixes = all
    .filter((one) => apart(one) && one.known * outweighs >= other.known)
    .map(({ prefix }) => prefix);
  const rivals = new Set(
    prefixes.filter((one) => !prefixes.some((first) => first !== one && one.startsWith(first))),
  );
  return { ...other, rivals: [...rivals] };
}

/**
 * `recognise`, and CheckpointError where no naming fits, where several prefixes do, and where a tensor that the naming
 * knows can't be read.
 */
export function requireNaming({ tensors, keys = [] }: Pick<Checkpoint, "tensors" | "keys">): Recognised {
  const names = [...tensors.keys()];
  const known = recognise(names);
  if (names.some((name) => ownName.test(name))) {
    throw new CheckpointError(
      "this is a model of casement's own: embed, search, eval and train --init take its folder as it is, export writes it for others",
    );
  }
  if (!known) {
    const nothing = keys.length > 0 ? `no tensors, but ${some(keys)}` : "nothing";
    throw new CheckpointError(
      `neither BLIP, BERT nor ViT: it holds ${names.length > 0 ? some(names) : nothing}`,
    );
  }
  const { naming, prefix, rivals } = known;
  if (rivals.length > 0) {
    throw new CheckpointError(
      `which of its parts is meant? The names under ${some([prefix, ...rivals])} are equally well known; save one of them by itself`,
    );
  }
  if (otherModels.test(prefix)) {
    throw new CheckpointError(
      `the names stand under ${quote(prefix)}: a RoBERTa, which starts its positions at 2 and is not computed`,
    );
  }
  for (const [name, { fault }] of tensors) {
    if (fault === undefined) continue;
    const bare = bareName(name, prefix);
    if (bare !== null && naming.patterns.has(patternOf(bare).pattern))
      throw new CheckpointError(`tensor ${quote(name)}: ${fault}`);
  }
  return known;
}

/** The first few of many words, quoted, and how many there are. */
function some(words: readonly string[]): string {
  const most = 8;
  const more = words.length > most ? ` and ${words.length - most} more` : "";
  return `${words.slice(0, most).map(quote).join(", ")}${more}`;
}
