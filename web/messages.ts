// What the page and the worker tell each other: calls with one answer, and news that nobody asked for.
import type { Verdict } from "../cases/driver.ts";
import type { Offer } from "../cases/offers.ts";
import type { Label, Spread, Way } from "../train/eval/audit.ts";
import type { StepRecord } from "../train/loop/record.ts";
import type { PictureSource } from "./gallery.ts";

/** Where a picture is to be seen: a cell of a sheet, or a small copy of one's own. */
export type Sight =
  | { kind: "sheet"; url: string; x: number; y: number; columns: number; rows: number }
  | { kind: "own"; id: number; thumb: Blob };

/** A picture of the gallery. */
export interface Shown {
  /** Names the picture until pictures are added or removed. */
  place: number;
  label: string;
  sight: Sight;
}

export interface Answer extends Shown {
  /** Data set's name, or the file's. */
  name: string;
  /** Cosine similarity; minus the squared distance of raw pixels where there is no WebGPU. */
  score: number;
}

/** An example to begin with. */
export interface Suggestion {
  reference: Shown;
  text: string;
  right: number[];
}

export interface Opened {
  /** What computes; null where there is no WebGPU, with the reason. */
  adapter: string | null;
  reason: string | null;
  model: ModelNews | null;
  gallery: GalleryNews;
  sources: PictureSource[];
}

export interface ModelNews {
  name: string;
  /** Whether it is the one that came with the page. */
  own: boolean;
  parameters: number;
  precision: string;
  imageSize: number;
  /** Patches along each side of a picture; 0 where words do not attend to pictures. */
  patches: number;
}

export interface GalleryNews {
  /** Pictures of the page's gallery that can be searched, and one's own. */
  pictures: number;
  own: number;
  /** Pictures of the page's gallery that another model has not embedded yet. */
  waiting: number;
  suggestions: Suggestion[];
}

/** A picture to start from. */
export type Given = { kind: "place"; place: number } | { kind: "file"; file: Blob; name: string };

export interface Referred {
  /** Names the reference in questions. */
  key: number;
  label: string;
  sight: Sight;
  /** What people should know of the file. */
  notes: string[];
}

export interface Question {
  reference: number;
  text: string;
  /** Places of the right answers, the one that is meant first; empty where nobody has said. */
  right: number[];
  /** Other ways to say it, by the same person. */
  wordings: string[];
}

export interface Found {
  answers: Record<Way, Answer[]>;
  /** How far down the best right answer stands, where there is one. */
  ranks: Record<Way, number> | null;
  labels: Label[];
  /** Ranks of the right answer by each wording, the text itself first. */
  paraphrases: { texts: { text: string; rank: number }[]; spread: Spread } | null;
  notes: string[];
  /** Milliseconds in the worker. */
  took: number;
}

/** Where a word looks: shares of the patches, row by row, which sum to 1. */
export interface Look {
  word: string;
  shares: number[];
}

export interface DeviceNews {
  adapter: Offer[];
  features: (Offer & { there: boolean })[];
  limits: Offer[];
  /** Which kernels run, and why. */
  paths: Offer[];
}

export interface PictureFile {
  file: Blob;
  name: string;
}

export interface Added {
  added: number;
  /** Files that no picture could be made of, and why. */
  faults: { name: string; why: string }[];
  gallery: GalleryNews;
}

/** A field of a run's configuration, as a form shows it. */
export interface Field {
  /** From the top of the configuration. */
  path: string[];
  kind: "whole" | "number" | "text" | "choice" | "json";
  options?: string[];
  /** What it is where it is left out; undefined where it must be there or is nothing. */
  usual?: unknown;
  /** What it means. */
  about: string;
}

/** Where the run of the page stands. */
export interface RunNews {
  /** "elsewhere": another tab of the page has it. */
  state: "elsewhere" | "none" | "paused" | "opening" | "training" | "finished";
  /** Of the run, or what a new one would start with: fields that are left out are not there. */
  config: Record<string, unknown>;
  /** What a new run takes its weights from; null where it starts afresh. */
  weights: string | null;
  step: number;
  steps: number;
}

/** A look at the model while it learns: figures from 0 to 1 of a few queries among a few pictures. */
export interface Glance {
  step: number;
  metrics: Record<string, number>;
  queries: number;
  pictures: number;
}

/** A query of the contact sheet with its best answers. */
export interface SheetQuery {
  text: string;
  reference: Shown;
  target: Shown;
  rank: number;
  answers: (Shown & { right: boolean })[];
}

/** What a run has told so far. */
export interface RunHistory {
  records: StepRecord[];
  glances: Glance[];
  sheet: SheetQuery[];
}

/** Bytes on the GPU. */
export interface RunMemory {
  /** What a step and all that stays between steps was estimated to take at most, before anything was made. */
  estimated: number;
  /** What the tensors of a step were planned to take; null until a step was recorded. */
  planned: number | null;
  /** All that is in use. */
  used: number;
}

/** What the page may ask. */
export interface Calls {
  open(): Promise<Opened>;
  refer(given: Given): Promise<Referred>;
  search(question: Question): Promise<Found>;
  look(question: Pick<Question, "reference" | "text">): Promise<Look[]>;
  addPictures(files: PictureFile[]): Promise<Added>;
  /** Ends what adds pictures after those that are on their way; what was added stays. */
  stopAdding(): Promise<void>;
  removeOwn(): Promise<GalleryNews>;
  /** Files of a run's folder. */
  openModel(files: PictureFile[]): Promise<{ model: ModelNews; gallery: GalleryNews }>;
  usualModel(): Promise<{ model: ModelNews; gallery: GalleryNews }>;
  embedGallery(): Promise<GalleryNews>;
  device(): Promise<DeviceNews>;
  /** Checks the driver; `verdict` news tell each case. Resolves to whether all were checked. */
  check(): Promise<boolean>;
  stop(): Promise<void>;
  /** Takes the run that is kept in this browser, for as long as the tab is open. */
  openRun(): Promise<{ fields: Field[]; news: RunNews; history: RunHistory }>;
  /** Bytes that training would take. Throws where that is too much. */
  estimateRun(config: Record<string, unknown>): Promise<number>;
  /** Resolves when the first step is on its way. */
  startRun(config: Record<string, unknown>): Promise<void>;
  /** Resolves when training has ended with a checkpoint. */
  pauseRun(): Promise<void>;
  /** Goes on; to another step than was asked for at first where it is told. */
  resumeRun(steps: number | null): Promise<void>;
  removeRun(): Promise<void>;
  /** Files of a run's folder: a run that goes on here, or weights that a new run starts from. */
  loadRun(given: { files: PictureFile[]; as: "run" | "weights" }): Promise<void>;
  /** The files that the command line reads. */
  runFiles(): Promise<PictureFile[]>;
}

/** What the worker tells by itself. */
export type News =
  | { kind: "progress"; what: string; done: number; total: number }
  | { kind: "verdict"; verdict: Verdict; total: number }
  | { kind: "lost"; why: string }
  | { kind: "back" }
  | { kind: "gone"; why: string }
  | { kind: "run"; news: RunNews; history?: RunHistory; fault?: string }
  | { kind: "steps"; records: StepRecord[]; memory: RunMemory }
  | { kind: "glance"; glance: Glance; sheet: SheetQuery[] }
  | { kind: "said"; text: string }
  | { kind: "pictures"; gallery: GalleryNews };

/** What a worker may be asked: functions of one argument or none. */
export type CallTable<C> = Record<keyof C, (argument: never) => Promise<unknown>>;

export type Asked = { id: number; call: string; argument: unknown };
export type Told<N> =
  | { id: number; value: unknown }
  | { id: number; error: { name: string; message: string } }
  | N;
