// What a configuration must fit: the adapter, and the weights that it starts from.
import { DeviceError, type Engine } from "../../engine/index.ts";
import type { ModelConfig } from "../../model/config.ts";
import type { Precision } from "../../model/parameters.ts";
import { ConfigError } from "../config.ts";

/** Throws DeviceError where the adapter can't compute in this precision. */
export function requirePrecision(engine: Engine, precision: Precision): void {
  if (precision === "f16" && !engine.hasF16) {
    throw new DeviceError(
      `Precision f16 needs the feature shader-f16, which ${engine.adapterName} lacks; choose f32.`,
    );
  }
}

/** What another model can have otherwise and yet compute the same from the same weights: how it starts, learns and is asked. */
const free =
  /^(initiali[sz].*|embeddingRange|temperature\..*|fusion|text\.(dropout|maxLength)|vision\.(fit|zoom|filter))$/;

/**
 * Throws ConfigError, naming the fields, where a model computes something else from its weights than a configuration's
 * would, such as one with other heads: their shapes need not tell.
 * @param where the model lies
 * @param file its configuration
 */
export function requireSame(theirs: ModelConfig, ours: ModelConfig, where: string, file: string): void {
  const known = fieldsOf(theirs);
  const different = [...fieldsOf(ours)].filter(
    ([path, value]) => !free.test(path) && known.get(path) !== value,
  );
  if (different.length === 0) return;
  const told = different.map(
    ([path, value]) => `model.${path} is ${known.get(path)} there and ${value} here`,
  );
  throw new ConfigError(
    `The model in ${where} is another one: ${told.join(", ")}. Its weights would compute something else; ` +
      `take these fields from ${file}.`,
  );
}

/** The fields of a configuration by their paths, lists as they are written. */
function fieldsOf(value: object, path = ""): Map<string, string> {
  return new Map(
    Object.entries(value).flatMap(([key, inner]): [string, string][] => {
      const name = path === "" ? key : `${path}.${key}`;
      const isGroup = typeof inner === "object" && inner !== null && !Array.isArray(inner);
      return isGroup ? [...fieldsOf(inner, name)] : [[name, JSON.stringify(inner)]];
    }),
  );
}
