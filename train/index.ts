/**
 * The train folder from outside, as far as a page has it too: configuration, data sets read from anything that gives their
 * files, batches, losses, the loop and evaluation. What keeps runs in folders is the command line's.
 *
 * @module casement/train
 */
export {
  ConfigError,
  configSchema,
  type DataConfig,
  overrule,
  parseConfig,
  type RunConfig,
} from "./config.ts";
export { type CaptionWay, captionWays, textOf } from "./data/captions.ts";
export {
  type BatchInputs,
  flatten,
  type PartInputs,
  packBatch,
  type Row,
  unflatten,
} from "./data/collate.ts";
export type { Batch, BatchOptions, NamedPictures, OpenData, OpenSplit, TrainingSet } from "./data/dataset.ts";
export type { Filtered, FilterKind } from "./data/filter.ts";
export { inMemory, type PictureSet } from "./data/memory.ts";
export { withoutPictures } from "./data/missing.ts";
export { readSplit, splitsOf } from "./data/read.ts";
export { joinPictures, type Stage, sequence } from "./data/sequence.ts";
export { tripletSet } from "./data/triplets.ts";
export {
  DataError,
  type DataName,
  dataNames,
  type Files,
  type FolderData,
  type Gallery,
  type Picture,
  type Pictures,
  type Query,
  type Split,
} from "./data/types.ts";
export {
  type Audit,
  type Audited,
  type AuditOptions,
  audit,
  type Counts as AuditCounts,
  type Curve as AuditCurve,
  captionsApart,
  type Group as AuditGroup,
  type Paraphrased,
  type Spread,
} from "./eval/audit.ts";
export { type BootstrapOptions, bootstrap, type Interval } from "./eval/bootstrap.ts";
export { embedPictures, embedQueries, NotFiniteError } from "./eval/embed.ts";
export { type Embeddings, readEmbeddings } from "./eval/embeddings.ts";
export { embedSplit, evaluateSplit, type SplitResult } from "./eval/evaluate.ts";
export type { KindMetrics, Metrics, Recall, SheetRow, SplitMetrics } from "./eval/metrics.ts";
export {
  type Embedded,
  type JudgeOptions,
  judge,
  type Protocol,
  protocols,
  type RankOptions,
  type References,
  type Result,
} from "./eval/protocols.ts";
export type { Matrix } from "./eval/scores.ts";
export { type Near, nearest } from "./eval/search.ts";
export { checkSubmission, type Submission, type SubmissionCheck, submissions } from "./eval/submit.ts";
export {
  type HostTensor,
  normalizePictures,
  packTexts,
  tellCut,
  upload,
  words,
} from "./inputs.ts";
export type { StepRecord } from "./loop/record.ts";
export { learningRate } from "./loop/schedule.ts";
export type { Sync } from "./loop/sync.ts";
export { DivergedError, makeModel, type PackedStep, type Task, Trainer } from "./loop/trainer.ts";
export { type BatchLoss, batchLoss } from "./objective/batch.ts";
export { contrastiveLoss, lossKernels, type RecallOptions, recallLoss } from "./objective/losses.ts";
export { type Ablation, ablate, ablations, describeAblation } from "./run/ablations.ts";
export { makeTokenizer } from "./run/tokenizer.ts";
export { type Means, makeTrainer, packerOf } from "./run/trainer.ts";
