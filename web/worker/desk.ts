// The worker's own state: an engine with a model, the gallery with one's own pictures, and the references that questions
// are about. A device that is lost is opened again with all of it, and what was under way is asked once more.
import { DeviceLostError, Engine } from "../../engine/index.ts";
import type { Preparation } from "../../model/picture.ts";
import { inMemory } from "../../train/data/memory.ts";
import { labelsOf, spreadOf, type Way } from "../../train/eval/audit.ts";
import { embedPictures, embedQueries, embedTexts } from "../../train/eval/embed.ts";
import { pixelScores, shadesOf, shadesWidth } from "../../train/eval/pixels.ts";
import { best, type Row, rankOf, standings } from "../../train/eval/rank.ts";
import { type Matrix, type ReadyGallery, readyGallery } from "../../train/eval/scores.ts";
import { tellCut } from "../../train/inputs.ts";
import { fingerprint } from "../gallery.ts";
import type {
  Added,
  Answer,
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
  Shown,
  Sight,
} from "../messages.ts";
import { modelNames, siteFile } from "../site-files.ts";
import { deviceNews } from "./device.ts";
import { Gallery } from "./gallery.ts";
import { looksOf } from "./look.ts";
import { Losses } from "./losses.ts";
import { type LoadedModel, loadModel, type ModelFiles, readModel } from "./model.ts";
import { keep, type OwnPicture, ownPictures, removeAll } from "./own.ts";
import { isAnimated, readPicture, resized, thumbOf } from "./pictures.ts";

/** Answers in a column, and within which rank one modality counts as enough. */
const shown = 10;
/** One's own pictures that are embedded, and kept, at a time. */
const batch = 16;
/** References that questions may still be about. */
const mostReferences = 16;
/** What stands for the model where raw pixels do. */
const rawPixels = "pixels";
const rawPreparation: Preparation = { size: 32, fit: "squash", zoom: 1, filter: "bicubic" };

/** A picture that is searched. */
interface Entry {
  name: string;
  label: string;
  print: string;
  sight: Sight;
}

interface Reference {
  name: string;
  file: Blob | null;
  /** Id in the gallery, null for a file. */
  place: number | null;
  /** By model: what the picture is to it. */
  seen: Map<string, { pixels: Uint8Array<ArrayBuffer>; print: string; row: Float32Array }>;
}

/** What is on a device. */
interface Bench {
  engine: Engine;
  loaded: LoadedModel;
  ready: ReadyGallery;
  /** Resolves when the device is lost and its successor is on the way. */
  lost: Promise<void>;
}

export class Desk {
  /** There when the desk is open. */
  gallery!: Gallery;
  private files!: ModelFiles;
  private usual!: ModelFiles;
  /** Of the page's gallery by the current model; null where it has not embedded it. */
  private rows: Float32Array | null = null;
  private usualRows: Float32Array | null = null;
  private own: OwnPicture[] = [];
  private entries: Entry[] = [];
  private shades: Matrix | null = null;
  private readonly references = new Map<number, Reference>();
  private nextReference = 1;
  private bench: Promise<Bench> | null = null;
  private current: Engine | null = null;
  private readonly losses = new Losses();
  private turn: Promise<unknown> = Promise.resolve();
  /** Whether pictures that are being added go on. */
  private adding = false;
  /** By text, what else the data set says wherever it says that. */
  private readonly phrasings = new Map<string, readonly string[]>();

  /** @param site the page's folder */
  constructor(
    private readonly site: URL,
    private readonly tell: (news: News) => void,
  ) {}

  async open(): Promise<Opened> {
    const at = (path: string) => new URL(path, this.site);
    const [gallery, own, adapter] = await Promise.all([
      Gallery.open(at("gallery/")),
      ownPictures(),
      Engine.create().catch((error: Error) => error),
    ]);
    this.gallery = gallery;
    this.own = own;
    for (const texts of gallery.file.phrasings) {
      for (const text of texts) {
        const known = this.phrasings.get(text);
        this.phrasings.set(text, known ? known.filter((other) => texts.includes(other)) : texts);
      }
    }
    if (adapter instanceof Error) {
      await this.openRaw();
      const raw = { adapter: null, reason: adapter.message, model: null };
      return { ...raw, gallery: this.news(), sources: gallery.file.sources };
    }
    const load = async (name: string) => ({ name, file: await (await siteFile(at(`model/${name}`))).blob() });
    const [files, rows] = await Promise.all([Promise.all(modelNames.map(load)), gallery.embeddings()]);
    this.usual = await readModel(files, false);
    this.usualRows = rows;
    const { loaded } = await this.take(this.usual, rows, adapter);
    const { adapterName } = adapter;
    return {
      ...{ adapter: adapterName, reason: null, model: loaded.news },
      ...{ gallery: this.news(), sources: gallery.file.sources },
    };
  }

  /** Makes a model the current one. */
  private async take(files: ModelFiles, rows: Float32Array | null, engine?: Engine): Promise<Bench> {
    const before = this.current;
    const bench = await this.makeBench(files, rows, engine ?? (await Engine.create()));
    before?.dispose();
    return bench;
  }

  private async makeBench(files: ModelFiles, rows: Float32Array | null, engine: Engine): Promise<Bench> {
    let loaded: LoadedModel;
    try {
      loaded = await loadModel(engine, files);
    } catch (error) {
      engine.dispose();
      throw error;
    }
    this.files = files;
    this.rows = rows;
    this.current = engine;
    const nothing = { values: new Float32Array(0), width: loaded.config.model.projection };
    const ready = readyGallery(engine, { gallery: nothing, similarity: "cosine" });
    const bench: Bench = { engine, loaded, ready, lost: this.watch(engine) };
    this.bench = Promise.resolve(bench);
    await this.embedOwn(bench);
    this.lay(bench);
    return bench;
  }

  /** Puts the current pictures in front of the engine. */
  private lay(bench: Bench): void {
    const { key, config } = bench.loaded;
    const width = config.model.projection;
    const mine = this.own.filter((picture) => picture.prints[key]);
    const given = this.rows ?? new Float32Array(0);
    const values = new Float32Array(given.length + mine.length * width);
    values.set(given);
    for (const [i, picture] of mine.entries()) values.set(picture.prints[key]!.row, given.length + i * width);
    bench.ready.dispose();
    bench.ready = readyGallery(bench.engine, { gallery: { values, width }, similarity: "cosine" });
    this.entries = [...(this.rows ? this.galleryEntries() : []), ...mine.map((one) => ownEntry(one, key))];
  }

  private galleryEntries(): Entry[] {
    const { names, labels, prints } = this.gallery.file;
    return names.map((name, id) => ({
      ...{ name, label: labels[id]!, print: prints[id]! },
      sight: this.gallery.sight(id),
    }));
  }

  /** Waits for the device's end. */
  private async watch(engine: Engine): Promise<void> {
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
    const again = Engine.create().then((next) => this.makeBench(this.files, this.rows, next));
    this.bench = again;
    again.then(
      () => this.tell({ kind: "back" }),
      (error: Error) => this.tell({ kind: "gone", why: error.message }),
    );
  }

  /** Does something on the device, once more where that was lost meanwhile. */
  private async onDevice<T>(work: (bench: Bench) => Promise<T>): Promise<T> {
    const bench = await this.bench!;
    try {
      return await work(bench);
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw error;
      await bench.lost;
      return work(await this.bench!);
    }
  }

  /** Work that pictures must not come or go under, one after the other. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.turn.then(work, work);
    this.turn = result.catch(() => {});
    return result;
  }

  private news(): GalleryNews {
    const there = this.rows !== null || this.shades !== null;
    const { count, file } = this.gallery;
    return {
      pictures: there ? count : 0,
      own: this.own.length,
      waiting: there ? 0 : count,
      suggestions: there
        ? file.examples.map(({ reference, text, right }) => ({
            reference: this.show(reference),
            text,
            right,
          }))
        : [],
    };
  }

  private show(place: number): Shown {
    const { label, sight } = this.entries[place]!;
    return { place, label, sight };
  }

  async refer(given: Given): Promise<Referred> {
    const key = this.nextReference++;
    if (given.kind === "place") {
      const entry = this.entries[given.place];
      if (!entry) throw new Error("This picture is no longer there.");
      const { sight, label } = entry;
      const own = sight.kind === "own" ? this.own.find(({ id }) => id === sight.id) : null;
      const place = sight.kind === "sheet" ? given.place : null;
      this.remember(key, { name: entry.name, file: own?.file ?? null, place, seen: new Map() });
      return { key, label, sight, notes: [] };
    }
    const { file, name } = given;
    const reference: Reference = { name, file, place: null, seen: new Map() };
    await this.see(reference);
    const thumb = await thumbOf(file);
    this.remember(key, reference);
    const notes = (await isAnimated(file)) ? [`${name} is animated: its first frame counts.`] : [];
    return { key, label: name, sight: { kind: "own", id: -key, thumb }, notes };
  }

  private remember(key: number, reference: Reference): void {
    this.references.set(key, reference);
    for (const old of this.references.keys()) {
      if (this.references.size <= mostReferences) break;
      this.references.delete(old);
    }
  }

  private reference(key: number): Reference {
    const reference = this.references.get(key);
    if (!reference) throw new Error("This reference picture is no longer there: choose it again.");
    return reference;
  }

  /** What a reference is to the current model, or its raw pixels. */
  private async see(
    reference: Reference,
  ): Promise<{ pixels: Uint8Array<ArrayBuffer>; print: string; row: Float32Array }> {
    if (this.bench === null) return this.seeRaw(reference);
    return this.onDevice(async ({ engine, loaded }) => {
      const known = reference.seen.get(loaded.key);
      if (known) return known;
      const preparation = preparationOf(loaded);
      const pixels = await this.pixelsOf(reference, preparation);
      const picture = inMemory({ size: preparation.size, names: [reference.name], pixels });
      const row = await embedPictures(engine, loaded.model, picture, [0]);
      const seen = { pixels, print: await fingerprint(pixels), row };
      reference.seen.set(loaded.key, seen);
      return seen;
    });
  }

  private async pixelsOf(
    { name, file, place }: Reference,
    preparation: Preparation,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (file) return readPicture(file, name, preparation);
    return Uint8Array.from(await resized(this.gallery, preparation).read([place!]));
  }

  search(question: Question): Promise<Found> {
    return this.inTurn(async () => {
      const start = performance.now();
      const reference = this.reference(question.reference);
      const found = this.bench
        ? await this.searchModel(reference, question)
        : await this.searchRaw(reference);
      return { ...found, took: performance.now() - start };
    });
  }

  private async searchModel(reference: Reference, question: Question): Promise<Omit<Found, "took">> {
    const { row: image, print } = await this.see(reference);
    return this.onDevice(async ({ engine, loaded, ready }) => {
      const { model, tokenizer, config } = loaded;
      const text = question.text.trim();
      const among = [...this.entries.keys()].filter((place) => this.entries[place]!.print !== print);
      const right = question.right.filter(
        (place) => this.entries[place] && this.entries[place]!.print !== print,
      );
      const others =
        right.length > 0 ? [...(this.phrasings.get(text.toLowerCase()) ?? []), ...question.wordings] : [];
      const texts = text === "" ? [] : [...new Set([text, ...others])];

      const { pixels } = await this.see(reference);
      const own = inMemory({ size: config.model.vision.imageSize, names: [reference.name], pixels });
      const asked = texts.map((text) => ({ reference: 0, text }));
      const [both, alone] = await Promise.all([
        embedQueries(engine, model, tokenizer, own, asked),
        text === "" ? new Float32Array(0) : embedTexts(engine, model, tokenizer, [text]),
      ]);
      const width = config.model.projection;
      const values = new Float32Array(image.length + alone.length + both.length);
      values.set(image);
      values.set(alone, image.length);
      values.set(both, image.length + alone.length);
      const answers: Record<Way, Answer[]> = { image: [], text: [], both: [] };
      const ranks: number[] = [];
      await ready.eachRow({ values, width }, (i, row) => {
        const way = (["image", "text", "both"] as const)[i];
        if (way) answers[way] = this.bestOf(row, among);
        if (right.length > 0) ranks.push(rankOf(standings(row, { right, reference: -1, among }), false));
      });
      const told = text === "" ? null : tellCut(tokenizer, config.model, [text], "queries");
      const unknown = tokenizer.id("[UNK]");
      const isUnknown = text !== "" && tokenizer.pieces(text).every((id) => id === unknown);
      const known = right.length > 0 && texts.length > 0;
      const byWay = known ? { image: ranks[0]!, text: ranks[1]!, both: ranks[2]! } : null;
      return {
        ...{ answers, ranks: byWay, labels: byWay ? labelsOf(byWay, shown) : [] },
        paraphrases: known && texts.length > 1 ? this.paraphrases(texts, ranks.slice(2)) : null,
        notes: [...(isUnknown ? ["The model knows none of these words."] : []), ...(told ? [told] : [])],
      };
    });
  }

  private paraphrases(texts: readonly string[], ranks: readonly number[]): Found["paraphrases"] {
    const list = texts.map((text, i) => ({ id: `${i}`, text, rank: ranks[i]! }));
    const spread = spreadOf([{ reference: "", target: "", texts: list }], [1, shown])!;
    return { texts: list.map(({ text, rank }) => ({ text, rank })), spread };
  }

  private bestOf(row: Row, among: readonly number[]): Answer[] {
    return best(row, shown, { among }).map(({ place, score }) => ({
      ...{ ...this.show(place), score },
      name: this.entries[place]!.name,
    }));
  }

  look({ reference, text }: Pick<Question, "reference" | "text">): Promise<Look[]> {
    return this.inTurn(async () => {
      if (this.bench === null || text.trim() === "") return [];
      const { pixels } = await this.see(this.reference(reference));
      return this.onDevice(({ engine, loaded }) => looksOf(engine, loaded, pixels, text.trim()));
    });
  }

  /** Embeds those of one's own pictures that the model has not seen. */
  private async embedOwn({ engine, loaded }: Bench): Promise<void> {
    const { key } = loaded;
    const waiting = this.own.filter((picture) => !picture.prints[key]);
    for (let from = 0; from < waiting.length; from += batch) {
      const part = waiting.slice(from, from + batch);
      const seen = await this.embedFiles(engine, loaded, part);
      for (const [i, picture] of part.entries()) {
        const print = seen[i];
        if (!print || print instanceof Error) continue;
        picture.prints[key] = print;
        await keep(picture).catch(() => {});
      }
      this.tell({
        ...{ kind: "progress", what: "embedding your pictures" },
        ...{ done: Math.min(from + batch, waiting.length), total: waiting.length },
      });
    }
  }

  /** Decodes and embeds files; an error stands where a file is no picture. */
  private async embedFiles(
    engine: Engine,
    loaded: LoadedModel,
    files: readonly PictureFile[],
  ): Promise<(OwnPicture["prints"][string] | Error)[]> {
    const preparation = preparationOf(loaded);
    const decoded: (Uint8Array<ArrayBuffer> | Error)[] = [];
    for (const { file, name } of files)
      decoded.push(await readPicture(file, name, preparation).catch((error: Error) => error));
    const good = decoded.filter((one): one is Uint8Array<ArrayBuffer> => !(one instanceof Error));
    const { size } = preparation;
    const pixels = new Uint8Array(good.length * 3 * size * size);
    for (const [i, one] of good.entries()) pixels.set(one, i * 3 * size * size);
    const names = good.map((_, i) => `${i}`);
    const rows = await embedPictures(engine, loaded.model, inMemory({ size, names, pixels }), [
      ...good.keys(),
    ]);
    const width = loaded.config.model.projection;
    let at = 0;
    const results: (OwnPicture["prints"][string] | Error)[] = [];
    for (const one of decoded) {
      if (one instanceof Error) results.push(one);
      else results.push({ print: await fingerprint(one), row: rows.slice(at * width, ++at * width) });
    }
    return results;
  }

  async addPictures(files: readonly PictureFile[]): Promise<Added> {
    const faults: Added["faults"] = [];
    let added = 0;
    this.adding = true;
    for (let from = 0; from < files.length && this.adding; from += batch) {
      const part = files.slice(from, from + batch);
      const [key, seen] = this.bench
        ? await this.onDevice(
            async ({ engine, loaded }) => [loaded.key, await this.embedFiles(engine, loaded, part)] as const,
          )
        : ([rawPixels, await Promise.all(part.map(rawPrint))] as const);
      for (const [i, { file, name }] of part.entries()) {
        const print = seen[i]!;
        try {
          if (print instanceof Error) throw print;
          const picture = { name, file, thumb: await thumbOf(file), prints: { [key]: print } };
          this.own.push({ ...picture, id: await keep(picture) });
          added++;
        } catch (error) {
          faults.push({ name, why: (error as Error).message });
        }
      }
      const done = Math.min(from + batch, files.length);
      this.tell({ kind: "progress", what: "embedding your pictures", done, total: files.length });
    }
    await this.layAgain();
    return { added, faults, gallery: this.news() };
  }

  stopAdding(): void {
    this.adding = false;
  }

  async removeOwn(): Promise<GalleryNews> {
    await removeAll();
    this.own = [];
    await this.layAgain();
    return this.news();
  }

  /** Another tab has added pictures, or removed them. */
  async reread(): Promise<void> {
    this.own = await ownPictures();
    if (this.bench) await this.onDevice((bench) => this.embedOwn(bench));
    await this.layAgain();
    this.tell({ kind: "pictures", gallery: this.news() });
  }

  private layAgain(): Promise<void> {
    return this.inTurn(async () => {
      if (this.bench) await this.onDevice(async (bench) => this.lay(bench));
      else this.layRaw();
    });
  }

  async openModel(files: readonly PictureFile[]): Promise<{ model: ModelNews; gallery: GalleryNews }> {
    const read = await readModel(files, true);
    return this.inTurn(async () => {
      const { loaded } = await this.take(read, null);
      return { model: loaded.news, gallery: this.news() };
    });
  }

  usualModel(): Promise<{ model: ModelNews; gallery: GalleryNews }> {
    return this.inTurn(async () => {
      const { loaded } = await this.take(this.usual, this.usualRows);
      return { model: loaded.news, gallery: this.news() };
    });
  }

  /** Embeds the page's gallery by one's own model. */
  async embedGallery(): Promise<GalleryNews> {
    const rows = await this.onDevice(({ engine, loaded }) => {
      const pictures = resized(this.gallery, preparationOf(loaded));
      const ids = Array.from({ length: pictures.count }, (_, id) => id);
      return embedPictures(engine, loaded.model, pictures, ids, (done) =>
        this.tell({ kind: "progress", what: "embedding the gallery", done, total: ids.length }),
      );
    });
    this.rows = rows;
    await this.layAgain();
    return this.news();
  }

  device(): Promise<DeviceNews> {
    if (!this.bench) throw new Error("There is no WebGPU here.");
    return this.onDevice(({ engine, loaded }) => deviceNews(engine, loaded));
  }

  // Without WebGPU: the nearest pictures by raw pixels.

  private async openRaw(): Promise<void> {
    const { count } = this.gallery;
    const values = new Float32Array(count * shadesWidth);
    const step = this.gallery.file.perSheet;
    for (let from = 0; from < count; from += step) {
      const ids = Array.from({ length: Math.min(step, count - from) }, (_, i) => from + i);
      const pixels = await this.gallery.read(ids);
      const bytes = pixels.length / ids.length;
      for (const [i, id] of ids.entries()) {
        const picture = pixels.subarray(i * bytes, (i + 1) * bytes);
        values.set(shadesOf(picture, this.gallery.size), id * shadesWidth);
      }
      this.tell({ kind: "progress", what: "loading pictures", done: from + ids.length, total: count });
    }
    this.shades = { values, width: shadesWidth };
    for (const picture of this.own) {
      const print = picture.prints[rawPixels] ? null : await rawPrint(picture);
      if (print && !(print instanceof Error)) picture.prints[rawPixels] = print;
    }
    this.layRaw();
  }

  private layRaw(): void {
    const mine = this.own.filter((picture) => picture.prints[rawPixels]);
    const { count } = this.gallery;
    const values = new Float32Array((count + mine.length) * shadesWidth);
    values.set(this.shades!.values.subarray(0, count * shadesWidth));
    for (const [i, one] of mine.entries()) values.set(one.prints[rawPixels]!.row, (count + i) * shadesWidth);
    this.shades = { values, width: shadesWidth };
    this.entries = [...this.galleryEntries(), ...mine.map((one) => ownEntry(one, rawPixels))];
  }

  private async seeRaw(reference: Reference) {
    const known = reference.seen.get(rawPixels);
    if (known) return known;
    const pixels = await this.pixelsOf(reference, rawPreparation);
    const seen = { pixels, print: "", row: shadesOf(pixels, rawPreparation.size) };
    reference.seen.set(rawPixels, seen);
    return seen;
  }

  private async searchRaw(reference: Reference): Promise<Omit<Found, "took">> {
    const { row } = await this.seeRaw(reference);
    const scored = pixelScores(row, this.shades!);
    // Pictures that are the reference itself.
    const among = [...scored.scores.keys()].filter((place) => scored.scores[place] !== 0);
    const answers = { image: this.bestOf(scored, among), text: [], both: [] };
    return { answers, ranks: null, labels: [], paraphrases: null, notes: [] };
  }
}

function preparationOf({ config }: LoadedModel): Preparation {
  const { imageSize: size, fit, zoom, filter } = config.model.vision;
  return { size, fit, zoom, filter };
}

const ownEntry = ({ id, name, thumb, prints }: OwnPicture, key: string): Entry => ({
  ...{ name, label: name, print: prints[key]!.print },
  sight: { kind: "own", id, thumb },
});

async function rawPrint({ file, name }: PictureFile): Promise<OwnPicture["prints"][string] | Error> {
  try {
    const pixels = await readPicture(file, name, rawPreparation);
    return { print: "", row: shadesOf(pixels, rawPreparation.size) };
  } catch (error) {
    return error as Error;
  }
}
