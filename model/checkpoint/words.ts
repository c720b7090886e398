// Which token stands for which row of a checkpoint's word table. Files and tables differ: BLIP adds tokens that
// Hugging Face's files do not know, tables are padded to a round number of rows, editors add blank lines.
import { CheckpointError } from "../safetensors.ts";
import { addedTokens, bertSize, bertVocabulary } from "../vocabulary.ts";

/** The tokens of a model's rows, and what was decided about them, for people. */
export interface Words {
  vocabulary: string[];
  notes: string[];
}

/** Stands for a row that no token has; no text contains it, since words are split at brackets. */
const noToken = (row: number) => `[row ${row}]`;

/**
 * The tokens by id of a vocab.txt. A line's number is its token's id, as Hugging Face counts, so a blank line within is
 * kept as an empty string; those behind the last token go.
 */
export function tokensOf(text: string): string[] {
  return text.replace(/\s+$/, "").split(/\r\n|\r|\n/);
}

/**
 * The tokens of a table of `rows` rows, 0 where there is no table, and the added ones that it lacks behind them. Throws
 * CheckpointError for a table that neither bert-base-uncased's vocabulary nor `tokens` fits.
 * @param tokens of the file beside the checkpoint, empty strings for its blank lines; null where there is none
 * @param blip whether the table is a BLIP's
 */
export async function wordsOf(rows: number, tokens: readonly string[] | null, blip: boolean): Promise<Words> {
  if (tokens) return fitRows(rows, tokens, blip);
  const vocabulary = await bertVocabulary();
  if (rows > 0 && (rows < bertSize || rows > vocabulary.length)) {
    throw new CheckpointError(
      `the word embeddings have ${rows} rows, bert-base-uncased's vocabulary ${bertSize}: ` +
        "put the checkpoint's vocab.txt beside it",
    );
  }
  return { vocabulary, notes: [] };
}

function fitRows(rows: number, tokens: readonly string[], blip: boolean): Words {
  const notes: string[] = [];
  const lacking = addedTokens.filter((token) => !tokens.includes(token));
  /** Whether a list has one row for each token, the added ones counted or not. */
  const exact = ({ length }: readonly string[]) => length <= rows && length + lacking.length >= rows;
  const dense = tokens.filter((token) => token !== "");
  let known = tokens.map((token, id) => token || noToken(id));
  const blank = tokens.length - dense.length;
  if (blank > 0) {
    const left = rows === 0 || tokens.length > rows || (exact(dense) && !exact(tokens));
    if (left) known = dense;
    notes.push(`vocab.txt has ${blank} blank lines, which ${left ? "were left out" : "count as tokens"}`);
  }
  if (rows === 0) return { vocabulary: [...known, ...lacking], notes };
  const extra = rows - known.length;
  if (extra < 0) {
    throw new CheckpointError(`the vocabulary has ${known.length} tokens, the word embeddings ${rows} rows`);
  }
  // BLIP's own follow the vocabulary, [REV] only where every row is then accounted for.
  const guessed = extra <= lacking.length ? lacking.slice(0, extra) : [];
  if (extra > lacking.length && blip) guessed.push(...lacking.filter((token) => token !== "[REV]"));
  const padding = extra - guessed.length;
  const own = [...known, ...guessed];
  for (let row = own.length; row < rows; row++) own.push(noToken(row));
  if (padding > 0) {
    const after = guessed.length > 0 ? `; those before them are taken for ${guessed.join(" and ")}` : "";
    notes.push(`the last ${padding} rows of the word table have no token and are kept${after}`);
  }
  return { vocabulary: [...own, ...lacking.filter((token) => !guessed.includes(token))], notes };
}
