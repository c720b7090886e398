// The search's own state in the worker: what is searched and by what, and the references that questions are about.
import { Engine } from "../../../engine/index.ts";
import { embedPictures } from "../../../train/eval/embed.ts";
import { readyGallery } from "../../../train/eval/scores.ts";
import type {
  Added,
  DeviceNews,
  Found,
  GalleryNews,
  Given,
  Look,
  ModelNews,
  News,
  Opened,
  PictureFile,
  Question,
  Referred,
} from "../../messages.ts";
import { modelNames, siteFile } from "../../site-files.ts";
import { Turns } from "../../turns.ts";
import { deviceNews } from "../device.ts";
import { Gallery } from "../gallery.ts";
import { readModel } from "../model.ts";
import { ask } from "./ask.ts";
import { type Bench, Benches, type Choice } from "./bench.ts";
import { type PixelSearch, searchByPixels } from "./by-pixels.ts";
import { Collection } from "./collection.ts";
import { type Eye, rawEye } from "./eye.ts";
import { looksOf } from "./look.ts";
import { isAnimated, resized, thumbOf } from "./pictures.ts";
import { Reference, References } from "./references.ts";
import { Searched } from "./searched.ts";

export class Desk {
  /** There when the desk is open. */
  gallery!: Gallery;
  private searched!: Searched;
  private usual!: Choice;
  private readonly benches: Benches;
  /** What answers where there is no WebGPU, otherwise null. */
  private raw: PixelSearch | null = null;
  private readonly own: Collection;
  private readonly references = new References();
  /** Work that pictures must not come or go under. */
  private readonly turns = new Turns();

  /** @param site the page's folder */
  constructor(
    private readonly site: URL,
    private readonly tell: (news: News) => void,
  ) {
    this.own = new Collection(tell);
    this.benches = new Benches(async (bench) => {
      await this.own.show(bench.eye);
      this.lay(bench);
    }, tell);
  }

  async open(): Promise<Opened> {
    const at = (path: string) => new URL(path, this.site);
    const [gallery, engine] = await Promise.all([
      Gallery.open(at("gallery/")),
      Engine.create().catch((error: Error) => error),
      this.own.read(),
    ]);
    this.gallery = gallery;
    this.searched = new Searched(gallery);
    const { sources } = gallery.file;
    if (engine instanceof Error) {
      this.raw = await searchByPixels(gallery, this.searched, this.own, this.tell);
      return { adapter: null, reason: engine.message, model: null, gallery: this.news(), sources };
    }
    const load = async (name: string) => ({ name, file: await (await siteFile(at(`model/${name}`))).blob() });
    const [files, rows] = await Promise.all([Promise.all(modelNames.map(load)), gallery.embeddings()]);
    this.usual = { files: await readModel(files, false), rows };
    const { loaded } = await this.benches.take(this.usual, engine);
    return {
      ...{ adapter: engine.adapterName, reason: null, model: loaded.news },
      ...{ gallery: this.news(), sources },
    };
  }

  /** Puts the current pictures in front of a model. */
  private lay(bench: Bench): void {
    bench.ready.dispose();
    const gallery = this.searched.lay(bench.eye, bench.choice.rows, this.own.all);
    bench.ready = readyGallery(bench.engine, { gallery, similarity: "cosine" });
  }

  private layAgain(): Promise<GalleryNews> {
    return this.turns.take(async () => {
      if (this.raw) this.raw.lay();
      else await this.benches.use(async (bench) => this.lay(bench));
      return this.news();
    });
  }

  /** Does something with what sees pictures here. */
  private withEye<T>(work: (eye: Eye) => Promise<T>): Promise<T> {
    return this.raw ? work(rawEye) : this.benches.use(({ eye }) => work(eye));
  }

  private news(): GalleryNews {
    const { searched, gallery } = this;
    const { count, file } = gallery;
    const there = searched.hasGallery;
    return {
      pictures: there ? count : 0,
      own: this.own.all.length,
      waiting: there ? 0 : count,
      suggestions: there
        ? file.examples.map(({ reference, text, right }) => ({
            reference: searched.show(reference),
            text,
            right,
          }))
        : [],
    };
  }

  async refer(given: Given): Promise<Referred> {
    const { gallery, references } = this;
    if (given.kind === "place") {
      const { place } = given;
      const entry = this.searched.at(place);
      const source = entry?.sight.kind === "own" ? this.own.fileOf(entry.sight.id) : place;
      if (!entry || source === undefined) throw new Error("This picture is no longer there.");
      const { name, label, sight } = entry;
      return { key: references.add(new Reference(name, source, gallery)), label, sight, notes: [] };
    }
    const { file, name } = given;
    const reference = new Reference(name, file, gallery);
    await this.withEye((eye) => reference.seenBy(eye));
    const thumb = await thumbOf(file);
    const key = references.add(reference);
    const notes = (await isAnimated(file)) ? [`${name} is animated: its first frame counts.`] : [];
    return { key, label: name, sight: { kind: "own", id: -key, thumb }, notes };
  }

  search(question: Question): Promise<Found> {
    return this.turns.take(async () => {
      const start = performance.now();
      const reference = this.references.get(question.reference);
      const { searched, raw } = this;
      const found = raw
        ? await raw.answer(reference)
        : await this.benches.use((bench) => ask(bench, searched, reference, question));
      return { ...found, took: performance.now() - start };
    });
  }

  look({ reference, text }: Pick<Question, "reference" | "text">): Promise<Look[]> {
    return this.turns.take(async () => {
      if (this.raw || text.trim() === "") return [];
      const asked = this.references.get(reference);
      return this.benches.use(async ({ engine, loaded, eye }) => {
        const { pixels } = await asked.seenBy(eye);
        return looksOf(engine, loaded, pixels, text.trim());
      });
    });
  }

  async addPictures(files: readonly PictureFile[]): Promise<Added> {
    const done = await this.own.add(files, (work) => this.withEye(work));
    return { ...done, gallery: await this.layAgain() };
  }

  stopAdding(): void {
    this.own.stopAdding();
  }

  async removeOwn(): Promise<GalleryNews> {
    await this.own.clear();
    return this.layAgain();
  }

  /** Another tab has added pictures, or removed them. */
  async reread(): Promise<void> {
    await this.own.read();
    if (!this.raw) await this.withEye((eye) => this.own.show(eye));
    this.tell({ kind: "pictures", gallery: await this.layAgain() });
  }

  async openModel(files: readonly PictureFile[]): Promise<{ model: ModelNews; gallery: GalleryNews }> {
    return this.take({ files: await readModel(files, true), rows: null });
  }

  usualModel(): Promise<{ model: ModelNews; gallery: GalleryNews }> {
    return this.take(this.usual);
  }

  private take(choice: Choice): Promise<{ model: ModelNews; gallery: GalleryNews }> {
    return this.turns.take(async () => {
      const { loaded } = await this.benches.take(choice);
      this.raw = null;
      return { model: loaded.news, gallery: this.news() };
    });
  }

  /** Embeds the page's gallery by one's own model. */
  async embedGallery(): Promise<GalleryNews> {
    await this.benches.use(async ({ engine, choice, loaded, eye }) => {
      const pictures = resized(this.gallery, eye.preparation);
      const ids = Array.from({ length: pictures.count }, (_, id) => id);
      choice.rows = await embedPictures(engine, loaded.model, pictures, ids, (done) =>
        this.tell({ kind: "progress", what: "embedding the gallery", done, total: ids.length }),
      );
    });
    return this.layAgain();
  }

  async device(): Promise<DeviceNews> {
    if (this.raw) throw new Error("There is no WebGPU here.");
    return this.benches.use(({ engine, loaded }) => deviceNews(engine, loaded));
  }
}
