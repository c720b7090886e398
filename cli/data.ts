// Which data set a command works on, as it is typed, --data NAME --root DIR, and how a model is run on it.
import { type Inference, inferences } from "../model/parameters.ts";
import { type DataConfig, parseConfig, type RunConfig } from "../train/config.ts";
import { type CaptionWay, captionWays } from "../train/data/captions.ts";
import { type DataName, dataNames } from "../train/data/types.ts";
import { overrule, type Setting } from "../train/overrule.ts";
import type { DataSource } from "../train/run/data.ts";
import { choice, flag, many, path, UsageError } from "./options.ts";

const name = choice<DataName>(
  "NAME",
  dataNames,
  `Data set: ${dataNames.join(", ")}; the run's own unless told`,
);
const root = path("DIR", "Folder of the data set");
const allowMissing = flag(
  "Go on without pictures that are missing or broken, and the queries that need them",
);
const captions = choice<CaptionWay>(
  "WAY",
  captionWays,
  `How captions become a text: ${captionWays.join(", ")}; the configuration's way unless told`,
);

/** How a trained model is run. */
export const precision = choice<Inference>(
  "NAME",
  inferences,
  "f32 or f16, or f32 with weights packed in int8 or int4; the run's own unless told",
);

/** For commands that read one data set. */
export const dataOptions = { data: name, root, captions, allowMissing };

/** For commands that train: several data sets one after the other. */
export const trainingDataOptions = {
  data: many(
    choice<DataConfig["kind"]>(
      "NAME",
      ["emoji", "cirr", "fashioniq", "lasco", "jsonl"],
      "Data set, instead of the configuration's: emoji, cirr, fashioniq, lasco, jsonl; again for one that comes after it",
    ),
  ),
  root: many(path("DIR", "Folder of the data set; again for the next one")),
  allowMissing,
};

interface Typed {
  data?: DataName;
  root?: string;
  captions?: CaptionWay;
  allowMissing: boolean;
}

/** The data set that is typed; the run's own where no other is. Throws UsageError. */
export function sourceOf(config: RunConfig, { data, root, captions, allowMissing }: Typed): DataSource {
  const own: DataSource = config.data;
  const source: DataSource = data === undefined || data === own.kind ? own : { kind: data };
  if (source.kind === "emoji" && root !== undefined)
    throw new UsageError("--root is for data sets in folders; emoji's pictures come from packages");
  return {
    ...source,
    ...(root !== undefined && { root }),
    ...(captions !== undefined && { captions }),
    ...(allowMissing && { allowMissing }),
  };
}

/** A configuration with the data sets that are typed in place of its own. Throws UsageError and ConfigError. */
export function withData(
  config: RunConfig,
  {
    data,
    root,
    allowMissing,
    set,
  }: {
    data: readonly DataConfig["kind"][];
    root: readonly string[];
    allowMissing: boolean;
    set: readonly Setting[];
  },
): RunConfig {
  if (data.length === 0 && root.length === 0 && !allowMissing) return config;
  const known: DataConfig[] = [...config.before.map((stage) => stage.data), config.data];
  const kinds = data.length > 0 ? data : known.map(({ kind }) => kind);
  const roots = [...root];
  const sources = kinds.map((kind): object => {
    const own = known.find((one) => one.kind === kind) ?? { kind };
    if (kind === "emoji") return own;
    const typed = roots.shift();
    return { ...own, ...(typed !== undefined && { root: typed }), ...(allowMissing && { allowMissing }) };
  });
  if (roots.length > 0) throw new UsageError(`--root ${roots[0]} has no --data that it is the folder of`);
  // Each comes for as many as --set says, which overrules the rest of the configuration later.
  const { epochs } = overrule(config, {
    settings: set.filter(({ path }) => path === "training.epochs"),
  }).training;
  if (data.length > 1 && epochs === undefined)
    throw new UsageError(
      "--data given more than once needs training.epochs, passes over each, in the configuration",
    );
  const before =
    data.length > 0
      ? sources.slice(0, -1).map((source) => ({ data: source, epochs }))
      : config.before.map((stage, i) => ({ ...stage, data: sources[i] }));
  return parseConfig({ ...config, before, data: sources.at(-1) }, "The configuration with these data sets");
}
