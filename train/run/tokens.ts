// What a frozen ViT makes of pictures, kept on the disk: tokens in binary16, made when a batch first asks for them and read
// ever after, so that a training step is the text side alone. They lie in shards as pictures do, in a folder of their own
// for each list of pictures and each value of the ViT's weights.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import { cast } from "../../kernels/elementwise/cast.ts";
import { packHalves } from "../../kernels/elementwise/halves.ts";
import { packBytes } from "../../kernels/patch/patch.ts";
import type { Case } from "../../model/case.ts";
import { imageTokens } from "../../model/vit.ts";
import { withRoom } from "../data/open.ts";
import { layOut, Shards, stampBytes, stampOf } from "../data/shards.ts";
import type { Pictures } from "../data/types.ts";
import { batchOf, NotFiniteError } from "../eval/embed.ts";
import { normalizePictures, upload, words } from "../inputs.ts";
import { makeFolder } from "../make-folder.ts";
import { cacheFolder } from "../place.ts";
import { type KeptTokens, tokenBytes, visionRoot } from "./still.ts";

export interface TokenOptions {
  /** Folder of all caches. `cacheFolder` unless told. */
  cacheDir?: string;
  /** The largest file; a gigabyte unless told. */
  shardBytes?: number;
}

/** Pictures that are encoded at a time, always as many: what a picture's tokens are must not depend on those beside it. */
const atOnce = 16;
/** Of a binary16's bits; beyond it there is infinity, and NaN. */
const largestHalf = 0x7bff;

export class TokenCache implements KeptTokens {
  /** Pictures that were encoded. */
  encoded = 0;
  private opened: Promise<Shards> | null = null;
  /** Encoding goes one after the other: batches that are made ahead share pictures. */
  private encoding: Promise<void> = Promise.resolve();
  private closed = false;

  /** The model's ViT does not learn; its values are there when tokens are first read. */
  constructor(
    private readonly engine: Engine,
    private readonly model: Case,
    private readonly pictures: Pictures,
    private readonly options: TokenOptions,
  ) {}

  /** Throws NotFiniteError where tokens pass what f16 holds; Error where the disk has no room. */
  async read(ids: ArrayLike<number>): Promise<Uint8Array> {
    this.opened ??= this.open();
    const shards = await this.opened;
    const lacking = () => [...new Set(Array.from(ids))].filter((id) => !shards.has(id));
    if (lacking().length > 0) {
      const before = this.encoding;
      this.encoding = (async () => {
        await before.catch(() => {}); // that of another batch, whose reading throws it
        if (!this.closed) await this.encode(shards, lacking());
      })();
      await this.encoding;
    }
    return shards.read(ids, async (id) => {
      const [row] = await this.tokensOf([id]);
      return row!;
    });
  }

  /** Waits for what is being encoded. Nothing can be read after it. */
  async close(): Promise<void> {
    this.closed = true;
    await this.encoding.catch(() => {});
    const shards = await this.opened?.catch(() => null);
    shards?.close();
  }

  private async open(): Promise<Shards> {
    const { pictures, model, options } = this;
    const { count, size, names } = pictures;
    const { vision } = model.config;
    const { precision } = model.parameters;
    const weights = await digestVision(model);
    const about = { tokens: imageTokens(vision), width: vision.width, precision, weights, vision };
    const key = createHash("sha256")
      .update(JSON.stringify([1, about, size, names]))
      .digest("hex");
    const folder = join(
      options.cacheDir ?? cacheFolder,
      `tokens-${about.tokens}x${about.width}-${key.slice(0, 16)}`,
    );
    const stamps = new Uint8Array(count * stampBytes);
    for (let id = 0; id < count; id++) {
      const digest =
        pictures.digest?.(id) ??
        createHash("sha256")
          .update(await pictures.read([id]))
          .digest();
      stamps.set(stampOf(digest), id * stampBytes);
    }
    await makeFolder(folder);
    writeFileSync(
      join(folder, "about.txt"),
      JSON.stringify({ ...about, size, count, first: names[0] }, null, 2),
    );
    return new Shards(layOut(folder, count, tokenBytes(vision), options.shardBytes), stamps);
  }

  private async encode(shards: Shards, ids: readonly number[]): Promise<void> {
    const batch = batchOf(this.model, atOnce);
    for (let from = 0; from < ids.length && !this.closed; from += batch) {
      const part = ids.slice(from, from + batch);
      const rows = await this.tokensOf(part);
      try {
        for (const [i, id] of part.entries()) shards.write(id, rows[i]!);
      } catch (error) {
        throw withRoom(error as NodeJS.ErrnoException, shards.layout, "tokens");
      }
      this.encoded += part.length;
    }
  }

  /** f16 [tokens, width] as bytes of each of a few pictures. */
  private async tokensOf(ids: readonly number[]): Promise<Uint8Array[]> {
    const { engine, model, pictures } = this;
    const { vision } = model.config;
    const count = batchOf(model, atOnce);
    const filled = Array.from({ length: count }, (_, i) => ids[i] ?? ids[0]!);
    const pixels = await pictures.read(filled);
    const packed = engine.inference(() => {
      const { bytes } = upload(engine, { bytes: words(packBytes(pixels)) });
      const tokens = model.encodeImages(
        normalizePictures(bytes, count, vision.imageSize, vision, model.parameters.precision),
      );
      return packHalves(cast(tokens, "f32"));
    });
    const { buffer, byteOffset } = (await packed.read()) as Uint32Array;
    packed.dispose();
    const length = tokenBytes(vision);
    return ids.map((id, i) => {
      const halves = new Uint16Array(buffer, byteOffset + i * length, length / 2);
      if (halves.some((half) => (half & 0x7fff) >= largestHalf)) {
        throw new NotFiniteError(
          `The ViT's tokens of ${pictures.names[id]} pass 65504, the largest of f16, in which training.cacheTokens keeps them; ` +
            "without it training goes on.",
        );
      }
      return new Uint8Array(buffer, byteOffset + i * length, length);
    });
  }
}

/** SHA-256 of the ViT's parameters. */
async function digestVision({ parameters }: Case): Promise<string> {
  const hash = createHash("sha256");
  for (const { name, shape, read } of parameters.entries()) {
    if (!name.startsWith(visionRoot)) continue;
    const { buffer, byteOffset, byteLength } = await read();
    hash.update(`${name} ${shape}\n`).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("hex");
}

/** The `keep` of `makeTrainer` where tokens are to be kept on the disk. */
export const onDisk =
  (options: TokenOptions = {}) =>
  (model: Case, pictures: Pictures): KeptTokens =>
    new TokenCache(model.engine, model, pictures, options);
