/**
 * The model folder from outside: CASE and its encoders, tokenizer, the making of pictures, and checkpoints read as
 * untrusted bytes. Nothing here needs Node.
 *
 * @module casement/model
 */
export { type BertOptions, bert, bertSpecs, type ImageInput, type TextInput } from "./bert.ts";
export { Case, type CaseOptions, caseSpecs } from "./case.ts";
export { type ExportedTensor, exportConfig, exportTensors } from "./checkpoint/export.ts";
export { openCheckpoint } from "./checkpoint/open.ts";
export {
  type ImportPlan,
  type PlanLine,
  type PlannedParameter,
  type PlanOptions,
  planImport,
  requireWhole,
} from "./checkpoint/plan.ts";
export { openSafetensors } from "./checkpoint/safetensors.ts";
export { type ByteSource, memorySource } from "./checkpoint/source.ts";
export type { Checkpoint, TensorEntry } from "./checkpoint/tensor.ts";
export { type Words, wordsOf } from "./checkpoint/words.ts";
export { type ModelConfig, modelSchema } from "./config.ts";
export {
  type Initial,
  initialValues,
  type Learning,
  type ParameterSpec,
  Parameters,
  type Precision,
} from "./parameters.ts";
export { flattenAlpha, type Preparation, preparePicture } from "./picture.ts";
export {
  CheckpointError,
  readSafetensors,
  type SafetensorsFile,
  type StoredArray,
  type StoredTensor,
  type TensorToStore,
  toFloat32,
  writeSafetensors,
} from "./safetensors.ts";
export type { Observer } from "./stage.ts";
export { type BatchOptions, type EncodeOptions, type TokenBatch, Tokenizer } from "./tokenizer.ts";
export { imageTokens, type VitOptions, vit, vitSpecs } from "./vit.ts";
export { bertVocabulary, subsetVocabulary } from "./vocabulary.ts";
