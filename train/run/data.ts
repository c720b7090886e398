// The data set that a configuration or the command line names, opened in Node: annotations read, pictures packed.
import type { ModelConfig } from "../../model/config.ts";
import { ConfigError, type DataConfig, type RunConfig, withSteps } from "../config.ts";
import type { CaptionWay } from "../data/captions.ts";
import type { OpenData, OpenSplit, TrainingSet } from "../data/dataset.ts";
import { emojiData } from "../data/emoji/index.ts";
import { withoutPictures } from "../data/missing.ts";
import { folderFiles } from "../data/node.ts";
import { openPictures, type PackOptions } from "../data/open.ts";
import { readSplit, splitsOf } from "../data/read.ts";
import { sequence } from "../data/sequence.ts";
import { tripletSet } from "../data/triplets.ts";
import { DataError, type DataName, type FolderData } from "../data/types.ts";
import type { RunEvents } from "./events.ts";

/** A data set to open. */
export interface DataSource {
  kind: DataName;
  /** Its folder; Emoji-CoIR has none. */
  root?: string;
  /** Split that is trained on; train unless told. */
  split?: string;
  /** As written unless told. */
  captions?: CaptionWay;
  /** Go on without pictures that are missing or broken, and without the queries that need them. */
  allowMissing?: boolean;
}

/** Opens a data set for a model. Throws ConfigError where its folder is not told, DataError where that is none of its. */
export async function openData(
  source: DataSource,
  vision: ModelConfig["vision"],
  events: Pick<RunEvents, "progress" | "message">,
  stop?: () => boolean,
): Promise<OpenData> {
  const onProgress = (done: number, total: number) => events.progress("decoding pictures", done, total);
  const { kind, root } = source;
  const { imageSize: size, fit, zoom, filter } = vision;
  const packing = { size, preparation: { fit, zoom, filter }, onProgress, stop };
  if (kind === "emoji") return emojiData(packing);
  if (root === undefined)
    throw new ConfigError(`The folder of ${kind} is not told: --root DIR, or data.root.`);
  return folderData({ ...source, kind, root }, events, packing);
}

/** Splits whose answers are known, by data set; of people's own all but the one that is trained on. */
const judged: Record<Exclude<FolderData, "jsonl">, readonly string[]> = {
  cirr: ["val"],
  fashioniq: ["val"],
  lasco: ["val"],
  circo: ["val"],
  folder: [],
};

async function folderData(
  {
    kind,
    root,
    split: trained = "train",
    captions = "as written",
    allowMissing = false,
  }: DataSource & {
    kind: FolderData;
    root: string;
  },
  events: Pick<RunEvents, "message">,
  packing: PackOptions,
): Promise<OpenData> {
  const files = folderFiles(root);
  const splits = await splitsOf(kind, files);
  const closing: (() => void)[] = [];
  const opened = new Map<string, Promise<OpenSplit>>();
  const openSplit = async (name: string): Promise<OpenSplit> => {
    const split = await readSplit(kind, files, name);
    const paths = split.pictures.map(({ path }) => path);
    const packed = await openPictures(root, paths, packing);
    closing.push(packed.close);
    const { faults, pictures } = packed;
    if (faults.length === 0) return { split, pictures };
    const [first] = faults;
    const what = `${faults.length} of the ${paths.length} pictures of ${kind} ${name} are missing or broken`;
    if (!allowMissing || faults.length === paths.length) {
      const advice = allowMissing
        ? ""
        : "; --allow-missing goes on without them and the queries that need them";
      throw new DataError(
        `${what}, such as ${first!.path} (${first!.why})${advice}. casement data check lists them all.`,
      );
    }
    const whole = withoutPictures(split, new Set(faults.map(({ place }) => place)));
    const lost = split.queries.length - whole.queries.length;
    events.message(
      `${what}: going on without them and the ${lost} of ${split.queries.length} queries that need one.`,
    );
    return { split: whole, pictures };
  };
  const open = (name: string) => {
    const known = opened.get(name) ?? openSplit(name);
    opened.set(name, known);
    return known;
  };
  const evaluated = kind === "jsonl" ? splits.filter((name) => name !== trained) : judged[kind];
  return {
    ...{ name: kind, splits, open },
    evaluated: evaluated.filter((name) => splits.includes(name)),
    training: async () => tripletSet(await open(trained), captions),
    async close() {
      for (const close of closing.splice(0)) close();
    },
  };
}

/** The data sets of a configuration. */
export interface OpenSequence {
  /** All of them, in sequence. */
  training: TrainingSet;
  /** The last, which the run is evaluated on. */
  data: OpenData;
  /** The configuration, its epochs turned into steps. */
  config: RunConfig;
  close(): Promise<void>;
}

/** Opens the data sets that a configuration trains on. Throws as `openData` does. */
export async function openSequence(
  config: RunConfig,
  events: Pick<RunEvents, "progress" | "message">,
  stop?: () => boolean,
): Promise<OpenSequence> {
  const opened: OpenData[] = [];
  const close = async () => {
    for (const data of opened.splice(0)) await data.close();
  };
  try {
    const sets: TrainingSet[] = [];
    const sources: DataConfig[] = [...config.before.map(({ data }) => data), config.data];
    for (const source of sources) {
      const data = await openData(source, config.model.vision, events, stop);
      opened.push(data);
      sets.push(await data.training());
    }
    const withAll = withSteps(
      config,
      sets.map(({ triplets }) => triplets),
    );
    const stages = sets.map((set, i) => ({
      set,
      steps: withAll.before[i]?.steps ?? Math.max(1, withAll.training.steps),
    }));
    return { training: sequence(stages), data: opened.at(-1)!, config: withAll, close };
  } catch (error) {
    await close();
    throw error;
  }
}
