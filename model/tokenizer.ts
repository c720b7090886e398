// Texts to token ids as BERT does it: lower case, accents off, words and punctuation apart, then WordPiece, all by
// @huggingface/tokenizers. The special tokens around a text are placed here, for BLIP's [ENC] and CASE's [REV] are
// not in BERT's template (case.md).
import { Tokenizer as WordPiece } from "@huggingface/tokenizers";

/** The special tokens, in the order that a small vocabulary gives them. */
export const specialTokens = [
  "[PAD]",
  "[UNK]",
  "[CLS]",
  "[SEP]",
  "[MASK]",
  "[DEC]",
  "[ENC]",
  "[REV]",
] as const;

/** How a text becomes ids. */
export interface EncodeOptions {
  /** Most ids of a text, special tokens included. */
  maxLength: number;
  /** What comes first: [ENC] as in BLIP's multimodal encoder, or [CLS]. */
  first: "enc" | "cls";
  /** Whether [REV] follows, the mark of a reversed query. */
  reverse?: boolean;
}

/** How a batch of texts becomes ids. */
export interface BatchOptions extends Omit<EncodeOptions, "reverse"> {
  /** One answer for all the texts or one for each. */
  reverse?: boolean | readonly boolean[];
  /** Pad to exactly this many ids instead of to the longest text. */
  length?: number;
}

/** A batch of B texts, row-major [B, length]. */
export interface TokenBatch {
  /** Token ids, [PAD] after a text's end. */
  ids: Uint32Array<ArrayBuffer>;
  /** 1 for a text's own ids, 0 for padding. */
  mask: Uint32Array<ArrayBuffer>;
  length: number;
}

/** Texts whose word pieces are kept; training repeats its captions every epoch. */
const CACHE_SIZE = 65_536;

/** The Chinese characters outside the Basic Multilingual Plane in BERT's list, which the library doesn't set apart. */
const astralHan = /[\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

/**
 * Mends where the library differs from Hugging Face's Rust tokenizer: it reads UTF-16 units when it sets Chinese
 * characters apart, and lowers a capital sigma by its place in the word. What stays different are rare
 * marks and punctuation that newer Unicode added or moved to another category: 658 of the first 131,072 code points,
 * none of them in the blocks of Latin, Greek or Cyrillic letters, of Chinese, Japanese or Korean, or of emoji.
 */
function mend(text: string): string {
  return text.replace(astralHan, " $& ").replaceAll("Σ", "σ");
}

/** WordPiece over one vocabulary, the id of a token being its place in it. Works in Node and in browsers. */
export class Tokenizer {
  /** Token by id; frozen. */
  readonly vocabulary: readonly string[];
  /** Number of tokens. */
  readonly size: number;
  private readonly ids: ReadonlyMap<string, number>;
  private readonly wordPiece: WordPiece;
  private readonly cache = new Map<string, readonly number[]>();

  /**
   * Throws an Error for a vocabulary with an entry that is no string or is there twice, or without [PAD], [UNK],
   * [CLS] or [SEP]. [ENC] and [REV] are asked for only once a text needs them.
   */
  constructor(vocabulary: readonly string[]) {
    const ids = new Map<string, number>();
    // Without a prototype, so that a token may be called __proto__.
    const vocab: Record<string, number> = Object.create(null);
    vocabulary.forEach((token, id) => {
      if (typeof token !== "string") throw new Error(`vocabulary entry ${id} is not a string`);
      if (ids.has(token)) throw new Error(`vocabulary: ${JSON.stringify(token)} is there twice`);
      ids.set(token, id);
      vocab[token] = id;
    });
    this.vocabulary = Object.freeze([...vocabulary]);
    this.size = vocabulary.length;
    this.ids = ids;
    for (const token of ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]) this.id(token);
    this.wordPiece = new WordPiece(
      {
        version: "1.0",
        // What people type is text: a typed [SEP] is a bracket, a word and a bracket.
        added_tokens: [],
        normalizer: { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, lowercase: true },
        pre_tokenizer: { type: "BertPreTokenizer" },
        post_processor: null,
        decoder: null,
        model: {
          type: "WordPiece",
          unk_token: "[UNK]",
          continuing_subword_prefix: "##",
          max_input_chars_per_word: 100,
          vocab,
        },
      },
      {},
    );
  }

  /** The id of a token. Throws an Error for one that is not in the vocabulary. */
  id(token: string): number {
    const id = this.ids.get(token);
    if (id === undefined) throw new Error(`the vocabulary has no ${token}`);
    return id;
  }

  /**
   * The ids of a text without special tokens around it. The name of a special token within the text is text, as with
   * `split_special_tokens` of Hugging Face's tokenizers.
   */
  pieces(text: string): readonly number[] {
    if (typeof text !== "string") throw new Error(`a text to encode is a ${typeof text}, not a string`);
    const known = this.cache.get(text);
    if (known) return known;
    const ids = this.wordPiece.encode(mend(text), { add_special_tokens: false }).ids;
    // The oldest entry goes: a Map keeps the order of insertion.
    if (this.cache.size >= CACHE_SIZE) this.cache.delete(this.cache.keys().next().value!);
    this.cache.set(text, ids);
    return ids;
  }

  /**
   * [ENC] or [CLS], [REV] if reversed, the word pieces, [SEP]; the last word pieces go where the text is longer than
   * `maxLength`. Throws an Error for a `maxLength` that is not a whole number of 3 or more, and where the vocabulary
   * lacks a special token that the options ask for.
   */
  encode(text: string, options: EncodeOptions): number[] {
    const { maxLength, first, reverse = false } = options;
    if (!Number.isInteger(maxLength) || maxLength < 3) {
      throw new Error(`maxLength is ${maxLength}; it must be a whole number of 3 or more`);
    }
    if (first !== "enc" && first !== "cls") throw new Error(`first is ${first}; it must be "enc" or "cls"`);
    const head = [this.id(first === "enc" ? "[ENC]" : "[CLS]")];
    if (reverse) head.push(this.id("[REV]"));
    const room = maxLength - head.length - 1;
    return [...head, ...this.pieces(text).slice(0, room), this.id("[SEP]")];
  }

  /** Word pieces that `encode` cuts off the end of a text; 0 where it fits. */
  excess(text: string, { maxLength, reverse = false }: Omit<EncodeOptions, "first">): number {
    return Math.max(0, this.pieces(text).length + (reverse ? 3 : 2) - maxLength);
  }

  /**
   * Encodes B texts, each as `encode` does, and pads them to the longest or to `options.length`. Throws an Error for
   * an empty batch, a list `reverse` that is not as long as the batch, and a `length` that is not a whole number or
   * is shorter than a text's ids.
   */
  encodeBatch(texts: readonly string[], options: BatchOptions): TokenBatch {
    const { maxLength, first, reverse = false } = options;
    if (texts.length === 0) throw new Error("an empty batch of texts");
    if (typeof reverse !== "boolean" && reverse.length !== texts.length) {
      throw new Error(`reverse has ${reverse.length} entries for ${texts.length} texts`);
    }
    const rows = texts.map((text, i) =>
      this.encode(text, { maxLength, first, reverse: typeof reverse === "boolean" ? reverse : reverse[i] }),
    );
    const longest = Math.max(...rows.map((row) => row.length));
    const length = options.length ?? longest;
    if (!Number.isInteger(length) || length < longest) {
      throw new Error(
        `length is ${length}; it must be a whole number of ${longest} or more, the longest text's ids`,
      );
    }
    const ids = new Uint32Array(rows.length * length).fill(this.id("[PAD]"));
    const mask = new Uint32Array(rows.length * length);
    rows.forEach((row, i) => {
      ids.set(row, i * length);
      mask.fill(1, i * length, i * length + row.length);
    });
    return { ids, mask, length };
  }

  /** The vocabulary, from which `fromJSON` makes an equal tokenizer. */
  toJSON(): { vocabulary: string[] } {
    return { vocabulary: [...this.vocabulary] };
  }

  /**
   * A tokenizer from `toJSON` or from a tokenizer.json of a lower-case BERT: its vocabulary with its added tokens.
   * Throws an Error for an object of another kind, another model or other settings of the text, and for ids that
   * are not 0, 1, 2 and so on.
   */
  static fromJSON(json: unknown): Tokenizer {
    if (typeof json !== "object" || json === null) throw new Error("tokenizer: not an object");
    if ("vocabulary" in json) {
      if (!Array.isArray(json.vocabulary)) throw new Error("tokenizer: its vocabulary is not a list");
      return new Tokenizer(json.vocabulary);
    }
    return new Tokenizer(vocabularyOf(json));
  }
}

/**
 * Whether an added token is a mark like [ENC]. Hugging Face's tokenizers look for any other in a text before they take it
 * apart, which is not done here.
 */
export const isMark = (token: string): boolean => /^\[.*\]$/.test(token);

/** What `fromJSON` reads of a tokenizer.json; every field comes from a file and may be missing. */
interface StandardFile {
  model?: {
    type?: string;
    vocab?: Record<string, number>;
    unk_token?: string;
    continuing_subword_prefix?: string;
    max_input_chars_per_word?: number;
  };
  normalizer?: Record<string, unknown> | null;
  pre_tokenizer?: { type?: string } | null;
  added_tokens?: { id: number; content: string; special?: boolean }[];
}

/** Token by id of a tokenizer.json; refuses what this tokenizer would read otherwise than the file says. */
function vocabularyOf({ model, normalizer, pre_tokenizer, added_tokens }: StandardFile): string[] {
  const { type = "WordPiece", vocab } = model ?? {};
  if (type !== "WordPiece" || typeof vocab !== "object" || vocab === null) {
    throw new Error("tokenizer: neither a vocabulary nor a tokenizer.json with a WordPiece model");
  }
  // A part that is null or not there does nothing to texts; a field that is not there is as its class has it.
  if (!normalizer) throw new Error("tokenizer: normalizer is null; only BertNormalizer is supported");
  if (!pre_tokenizer) throw new Error("tokenizer: pre_tokenizer is null; only BertPreTokenizer is supported");
  const { strip_accents: accents } = normalizer;
  const settings: [string, unknown, unknown][] = [
    ["model.unk_token", model?.unk_token, "[UNK]"],
    ["model.continuing_subword_prefix", model?.continuing_subword_prefix, "##"],
    ["model.max_input_chars_per_word", model?.max_input_chars_per_word, 100],
    ["normalizer.type", normalizer.type ?? null, "BertNormalizer"],
    ["normalizer.lowercase", normalizer.lowercase, true],
    // null is as lowercase.
    ["normalizer.strip_accents", accents ?? true, true],
    ["normalizer.clean_text", normalizer.clean_text, true],
    ["normalizer.handle_chinese_chars", normalizer.handle_chinese_chars, true],
    ["pre_tokenizer.type", pre_tokenizer.type ?? null, "BertPreTokenizer"],
  ];
  for (const [name, found, wanted] of settings) {
    if (found !== undefined && found !== wanted)
      throw new Error(`tokenizer: ${name} is ${found}; only ${wanted} is supported`);
  }
  for (const { content, special } of added_tokens ?? []) {
    // Special ones are text within a text, as `pieces` says.
    if (!special && !isMark(content))
      throw new Error(`tokenizer: added_tokens: ${JSON.stringify(content)} within a text is not supported`);
  }
  const entries = new Map(Object.entries(vocab));
  for (const { id, content } of added_tokens ?? []) entries.set(content, id);
  const tokens: string[] = new Array(entries.size).fill(undefined);
  for (const [token, id] of entries) {
    if (!Number.isInteger(id) || id < 0 || id >= entries.size || tokens[id] !== undefined) {
      throw new Error(`tokenizer: id ${id} of ${token} is not free between 0 and ${entries.size - 1}`);
    }
    tokens[id] = token;
  }
  return tokens;
}
