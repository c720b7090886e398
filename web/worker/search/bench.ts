// A model on a device. A device that is lost is opened again with all that was on it, and what was under way is asked once
// more; one that goes again and again is left alone.
import { DeviceLostError, Engine } from "../../../engine/index.ts";
import { type ReadyGallery, readyGallery } from "../../../train/eval/scores.ts";
import type { News } from "../../messages.ts";
import { Losses } from "../losses.ts";
import { type LoadedModel, loadModel, type ModelFiles } from "../model.ts";
import { type Eye, eyeOf } from "./eye.ts";

/** A model to search by. */
export interface Choice {
  files: ModelFiles;
  /** Its embeddings of the page's gallery, row-major; null where it has not seen it. */
  rows: Float32Array | null;
}

/** What is on a device. */
export interface Bench {
  readonly engine: Engine;
  readonly choice: Choice;
  readonly loaded: LoadedModel;
  readonly eye: Eye;
  /** The pictures that are searched; none until they are laid there. */
  ready: ReadyGallery;
  /** Resolves when the device is lost and its successor is on the way. */
  lost: Promise<void>;
}

/** The bench that is worked at, on one device after the other. */
export class Benches {
  private bench: Promise<Bench> | null = null;
  private current: Engine | null = null;
  private readonly losses = new Losses();

  /** @param furnish puts pictures on a new bench */
  constructor(
    private readonly furnish: (bench: Bench) => Promise<void>,
    private readonly tell: (news: News) => void,
  ) {}

  /** Makes a model the current one. Throws what loadModel and Engine.create throw, and then the one before stays. */
  async take(choice: Choice, engine?: Engine): Promise<Bench> {
    const before = this.current;
    const bench = await this.make(choice, engine);
    before?.dispose();
    return bench;
  }

  /** A bench that is worked at when its pictures lie there, no earlier; on another device where that is lost meanwhile. */
  private async make(choice: Choice, given?: Engine): Promise<Bench> {
    const engine = given ?? (await Engine.create());
    try {
      const loaded = await loadModel(engine, choice.files);
      const eye = eyeOf(engine, loaded);
      const nothing = { values: new Float32Array(0), width: eye.width };
      const ready = readyGallery(engine, { gallery: nothing, similarity: "cosine" });
      const bench: Bench = { engine, choice, loaded, eye, ready, lost: Promise.resolve() };
      await this.furnish(bench);
      this.current = engine;
      bench.lost = this.watch(bench);
      this.bench = Promise.resolve(bench);
      return bench;
    } catch (error) {
      engine.dispose();
      if (!(error instanceof DeviceLostError) || !this.losses.note()) throw error;
      return this.make(choice);
    }
  }

  /** Waits for the device's end. */
  private async watch({ engine, choice }: Bench): Promise<void> {
    const { reason, message } = await engine.device.lost;
    if (engine !== this.current) return;
    const why = message || reason;
    if (!this.losses.note()) {
      this.tell({ kind: "gone", why });
      return;
    }
    this.tell({ kind: "lost", why });
    engine.dispose();
    this.current = null;
    this.bench = this.make(choice);
    this.bench.then(
      () => this.tell({ kind: "back" }),
      (error: Error) => this.tell({ kind: "gone", why: error.message }),
    );
  }

  /** Does something on the device, once more where that was lost meanwhile. */
  async use<T>(work: (bench: Bench) => Promise<T>): Promise<T> {
    const bench = await this.bench!;
    try {
      return await work(bench);
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      await bench.lost;
      return work(await this.bench!);
    }
  }
}
