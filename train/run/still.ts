// Pictures whose tokens never change: what asks for them, and what keeps them.
import { caseSpecs } from "../../model/case.ts";
import type { ModelConfig } from "../../model/config.ts";
import { imageTokens } from "../../model/vit.ts";
import { ConfigError, type RunConfig } from "../config.ts";
import { augments } from "../data/augment.ts";
import { learningOf } from "../loop/groups.ts";

/** Tokens of pictures by their ids, or whatever else stands for them. */
export interface Tokens {
  /** f16 [ids, tokens, width] as bytes, in the order of `ids`, which may repeat. */
  read(ids: ArrayLike<number>): Promise<Uint8Array>;
}

/** Bytes of a picture's tokens. */
export function tokenBytes(vision: ModelConfig["vision"]): number {
  return 2 * imageTokens(vision) * vision.width;
}

/** Tokens that are kept somewhere. */
export interface KeptTokens extends Tokens {
  /** Waits for what is being encoded. Nothing can be read after it. */
  close(): Promise<void>;
}

/** What the names of the ViT's parameters begin with. */
export const visionRoot = "vision_model.";

/** Throws ConfigError unless pictures are encoded to the same tokens in every step. */
export function requireStill({ model, training }: RunConfig): void {
  const why = (what: string) =>
    new ConfigError(`training.cacheTokens keeps what the ViT makes of each picture, but ${what}.`);
  if (augments(training.augment)) throw why("training.augment changes pictures");
  const names = caseSpecs(model, 1).map(({ name }) => name);
  const learning = learningOf(training, names);
  const learns = names.find((name) => name.startsWith(visionRoot) && learning(name) !== false);
  if (learns) throw why(`${learns} learns; training.freezeVision leaves the ViT as it is`);
}
