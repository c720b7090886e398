// What a composed-retrieval data set is without its pixels: pictures by id, and splits of queries with the galleries that
// they are ranked against. The readers beside this file turn each data set's own files into it.

/** Data sets of files in a folder. */
export const folderData = ["cirr", "fashioniq", "lasco", "circo", "jsonl", "folder"] as const;
/** One of them. */
export type FolderData = (typeof folderData)[number];
/** All data sets; Emoji-CoIR's pictures come from packages. */
export const dataNames = ["emoji", ...folderData] as const;
/** One of them. */
export type DataName = (typeof dataNames)[number];

/** A picture before it is decoded. */
export interface Picture {
  /** As the data set's files write it. Unique within a split. */
  id: string;
  /** Its file, relative to the data set's folder, with forward slashes. */
  path: string;
}

/** One question: the reference picture changed as the texts say is a right answer. */
export interface Query {
  /** Unique within its split: CIRR's pairid, FashionIQ's `category:index`, LaSCo's qid, CIRCO's id. */
  id: string;
  /** Index into the split's pictures. */
  reference: number;
  /** The captions as written: FashionIQ has two, the others one. */
  texts: readonly string[];
  /** Indices of the right answers, the target first; empty where the split keeps them to itself. */
  right: readonly number[];
  /** CIRR: indices of the subset's six pictures, the reference among them. */
  members?: readonly number[];
  /** FashionIQ: dress, shirt or toptee. The query is ranked against galleries of its category. */
  category?: string;
  /** CIRCO: what reference and target have in common. */
  concept?: string;
  /** Emoji-CoIR: which sort of change the text asks for. */
  kind?: string;
}

/** Pictures that queries are ranked against. */
export interface Gallery {
  /** The word that a figure is printed with. */
  name: string;
  /** Of which queries it is the gallery; those of every category unless there. */
  category?: string;
  /** Indices into the split's pictures, each once. */
  pictures: Int32Array;
}

/** A split of a data set. */
export interface Split {
  data: DataName;
  name: string;
  pictures: readonly Picture[];
  queries: readonly Query[];
  galleries: readonly Gallery[];
  /** The annotation files that it was read from, relative to the data set's folder, with their entries. */
  sources: readonly { file: string; entries: number }[];
  /** What people should know of it, such as categories whose files are not there. */
  notes: readonly string[];
}

/** Files of a folder, wherever they are: Node's file system, a page's uploads, a test's memory. Paths have `/`. */
export interface Files {
  /** What messages call the folder. */
  readonly name: string;
  /** The bytes of a file. Throws where there is none. */
  read(path: string): Promise<Uint8Array>;
  /** Names of the files and folders in a folder, "" being the whole; empty where there is none. */
  list(folder: string): Promise<readonly string[]>;
  /** Whether what `list` named is a folder, whatever its name ends with. */
  isFolder(path: string): boolean;
  /** Bytes of a file; null where there is none. */
  size(path: string): Promise<number | null>;
}

/** Pictures of one size, wherever they lie. A picture's id is its index. */
export interface Pictures {
  readonly count: number;
  /** Side in pixels. */
  readonly size: number;
  readonly names: readonly string[];
  /** uint8 [ids, size, size, 3], RGB on white, in the order of `ids`, which may repeat. */
  read(ids: ArrayLike<number>): Promise<Uint8Array>;
  /** SHA-256 of a picture's bytes, where it is known without reading them. */
  digest?(id: number): Uint8Array;
}

/** Something is wrong with a data set's files; the message names the file and the entry. */
export class DataError extends Error {
  override name = "DataError";
}

/** Work ended because it was asked to. */
export class StoppedError extends Error {
  override name = "StoppedError";
}
