// The run that the page trains and keeps: one at a time, in one tab at a time. It is a run as the command line has it, with
// the same steps and the same files, in the page's storage; a device that is lost is opened again and training goes on
// from the last checkpoint.
import { choiceDatabase, DeviceLostError, Engine } from "../../engine/index.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import { modelTensors } from "../../model/checkpoint/tensor.ts";
import { Tokenizer } from "../../model/tokenizer.ts";
import { ConfigError, parseConfig, type RunConfig, withSteps } from "../../train/config.ts";
import tiny from "../../train/configs/emoji-tiny.json";
import type { SheetRow } from "../../train/eval/metrics.ts";
import { tellCut } from "../../train/inputs.ts";
import type { StepRecord } from "../../train/loop/record.ts";
import { makeModel, type Trainer } from "../../train/loop/trainer.ts";
import { overrule } from "../../train/overrule.ts";
import { blankStep } from "../../train/run/blank.ts";
import {
  listCheckpoints,
  loadCheckpoint,
  newestStep,
  streamTensors,
  writeWeights,
} from "../../train/run/checkpoint.ts";
import type { RunEvents } from "../../train/run/events.ts";
import { requirePrecision, requireSame } from "../../train/run/fitting.ts";
import { Journal } from "../../train/run/journal.ts";
import { runSteps } from "../../train/run/steps.ts";
import { files, lineOf, linesIn, textIn } from "../../train/run/store.ts";
import { makeTokenizer, textsOf } from "../../train/run/tokenizer.ts";
import { makeTrainer } from "../../train/run/trainer.ts";
import { Validation } from "../../train/run/validate.ts";
import type {
  Calls,
  Field,
  Glance,
  News,
  PictureFile,
  RunHistory,
  RunMemory,
  RunNews,
  SheetQuery,
  Shown,
} from "../messages.ts";
import { openPageEmoji, type PageData, requirePictures } from "./emoji.ts";
import { fieldsOf } from "./fields.ts";
import type { Gallery } from "./gallery.ts";
import { Glances, smallSplit } from "./glance.ts";
import { Losses } from "./losses.ts";
import { blobSource, type ModelFiles, readModel } from "./model.ts";
import { openStorage, type PageStore } from "./storage.ts";

const place = "casement-run";
/** What the page keeps beside a run's own files: figures of looks, and the last contact sheet. */
const own = { glances: "glances.jsonl", sheet: "sheet.json" };
/** Split whose queries are looked at. */
const glanceSplit = "combinations";
/** Queries on the contact sheet, and answers to each. */
const sheetQueries = 8;
const sheetAnswers = 6;
/** Milliseconds in which what steps say is gathered. */
const gathering = 200;
/** Memory that a machine has where the browser doesn't say. */
const usualMemory = 4 * 2 ** 30;

/** How training begins. */
type Beginning = "afresh" | "resumed";

export class TrainDesk {
  private store!: PageStore;
  private state: RunNews["state"] = "none";
  /** Of the run, or of a new one. */
  private config: Record<string, unknown> = tiny;
  private step = 0;
  /** What a new run takes its weights from. */
  private weights: ModelFiles | null = null;
  private data: Promise<PageData> | null = null;
  private work: Promise<void> = Promise.resolve();
  private stopping = false;
  private readonly losses = new Losses();
  private estimated = 0;
  private records: StepRecord[] = [];
  private glances: Glance[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param gallery pictures of the page
   * @param folder where they lie
   */
  constructor(
    private readonly gallery: Gallery,
    private readonly folder: URL,
    private readonly tell: (news: News) => void,
  ) {}

  /** Takes the run, or waits for the tab that has it. */
  async open(): Promise<{ fields: Field[]; news: RunNews; history: RunHistory }> {
    this.store = await openStorage(place);
    const free = await takeLock({ ifAvailable: true });
    if (free) await this.find();
    else {
      this.state = "elsewhere";
      void takeLock({}).then(async () => {
        await this.find();
        this.turn(this.state, { history: await this.history() });
      });
    }
    return { fields: fieldsOf(), news: this.news(), history: await this.history() };
  }

  /** Looks at what is kept. */
  private async find(): Promise<void> {
    const text = await textIn(this.store, files.config);
    const step = await newestStep(this.store);
    this.state = "none";
    if (text === "" || step === null) return;
    this.step = step;
    // A page of another version may have left what this one can't read: it says so when asked to go on, and the run can be
    // taken away or removed.
    this.config = JSON.parse(text) as Record<string, unknown>;
    const wanted = this.readable()?.training.steps;
    this.state = wanted !== undefined && step >= wanted ? "finished" : "paused";
  }

  /** The configuration where it is one to this page, otherwise null. */
  private readable(): RunConfig | null {
    try {
      return parseConfig(this.config, files.config);
    } catch {
      return null;
    }
  }

  private news(): RunNews {
    const { training } = this.config as { training?: { steps?: unknown } };
    const steps = Number(training?.steps) || 0;
    return {
      ...{ state: this.state, config: this.config, step: this.step, steps },
      weights: this.weights?.config.name ?? null,
    };
  }

  private turn(state: RunNews["state"], more: { history?: RunHistory; fault?: string } = {}): void {
    this.state = state;
    this.tell({ kind: "run", news: this.news(), ...more });
  }

  private async history(): Promise<RunHistory> {
    if (this.state === "none" || this.state === "elsewhere") return { records: [], glances: [], sheet: [] };
    this.glances = await linesIn<Glance>(this.store, own.glances);
    const sheet = await textIn(this.store, own.sheet);
    const rows = sheet === "" ? [] : (JSON.parse(sheet) as SheetRow[]);
    const records = await new Journal(this.store).steps();
    return { records, glances: this.glances, sheet: this.sheetOf(rows) };
  }

  private sheetOf(rows: readonly SheetRow[]): SheetQuery[] {
    const show = (place: number): Shown => {
      const { file } = this.gallery;
      return { place, label: file.labels[place]!, sight: this.gallery.sight(place) };
    };
    const every = Math.max(1, Math.floor(rows.length / sheetQueries));
    return rows
      .filter((_, i) => i % every === 0)
      .slice(0, sheetQueries)
      .map(({ text, reference, target, rank, answers }) => ({
        ...{ text, rank, reference: show(reference), target: show(target) },
        answers: answers.slice(0, sheetAnswers).map(({ picture, right }) => ({ ...show(picture), right })),
      }));
  }

  /** Throws where another tab has the run, or it is in one of these states. */
  private require(...states: RunNews["state"][]): void {
    if (this.state === "elsewhere") throw new Error("The run is open in another tab of this page.");
    if (!states.includes(this.state)) throw new Error(`That can't be done while the run is ${this.state}.`);
  }

  private opened(): Promise<PageData> {
    this.data ??= openPageEmoji(this.gallery, this.folder);
    this.data.catch(() => {
      this.data = null;
    });
    return this.data;
  }

  /** Checks a configuration against what a page can do. Throws ConfigError. */
  private async check(value: unknown): Promise<{ config: RunConfig; data: PageData }> {
    const asked = parseConfig(value, "What is filled in");
    if (asked.data.kind !== "emoji" || asked.before.length > 0)
      throw new ConfigError("A page trains on Emoji-CoIR alone, whose pictures come with it.");
    const data = await this.opened();
    requirePictures(asked.model.vision, data.preparation);
    const set = await data.training();
    return { config: withSteps(asked, [set.triplets]), data };
  }

  private async tokenizerFor(config: RunConfig, data: PageData, begin: Beginning): Promise<Tokenizer> {
    if (begin === "resumed") return Tokenizer.fromJSON(JSON.parse(await textIn(this.store, files.tokenizer)));
    if (!this.weights) return makeTokenizer(config, await data.training());
    requireSame(this.weights.config.model, config.model, this.weights.config.name, files.config);
    return this.weights.tokenizer;
  }

  /** Bytes that training takes at most. Throws ConfigError and DeviceError where that is too much. */
  private async plan(engine: Engine, config: RunConfig, vocabulary: number): Promise<number> {
    const advice = "fewer pictures, triplets or layers take less, accumulation and checkpointing too.";
    const { planned } = engine.plan(await blankStep(engine, config, vocabulary));
    const { deviceMemory } = navigator as { deviceMemory?: number };
    const there = deviceMemory === undefined ? usualMemory : deviceMemory * 2 ** 30;
    if (planned > there)
      throw new ConfigError(
        `Training would take ${gib(planned)} on the GPU, and this machine has ${gib(there)} as far as the browser says: ${advice}`,
      );
    return planned;
  }

  async estimate(value: Record<string, unknown>): Promise<number> {
    const { config, data } = await this.check(value);
    const tokenizer = await this.tokenizerFor(config, data, "afresh");
    const engine = await Engine.create();
    try {
      return await this.plan(engine, config, tokenizer.size);
    } finally {
      engine.dispose();
    }
  }

  async start(value: Record<string, unknown>): Promise<void> {
    this.require("none");
    await this.begin(value, "afresh");
  }

  async resume(steps: number | null): Promise<void> {
    this.require("paused", "finished");
    const stored = parseConfig(this.config, files.config);
    await this.begin(steps === null ? this.config : overrule(stored, { steps, begun: true }), "resumed");
  }

  /** Begins to train. Resolves at the first step, throws what comes before it. */
  private begin(value: Record<string, unknown>, begin: Beginning): Promise<void> {
    const before = { state: this.state, config: begin === "afresh" ? value : this.config };
    this.stopping = false;
    this.config = value;
    this.turn("opening");
    return new Promise((resolve, reject) => {
      let isTraining = false;
      const started = () => {
        isTraining = true;
        if (this.state !== "training") this.turn("training");
        resolve();
      };
      this.work = this.train(value, begin, started).then(
        () => resolve(),
        async (error: Error) => {
          this.config = before.config;
          const fault = error.message;
          if (isTraining) await this.find().then(() => this.turn(this.state, { fault }));
          else this.turn(before.state);
          reject(error);
        },
      );
    });
  }

  private async train(value: unknown, begin: Beginning, started: () => void): Promise<void> {
    for (let from = begin; ; ) {
      try {
        const done = await this.trainOnce(value, from, started);
        this.say();
        if (this.step > 0) this.weights = null;
        this.turn(done ? "finished" : this.step === 0 ? "none" : "paused");
        return;
      } catch (error) {
        this.say();
        if (!(error instanceof DeviceLostError) || !this.losses.note()) throw error;
        this.turn("opening", { fault: "The GPU was lost; training goes on from the last checkpoint." });
        // A run that had no checkpoint yet begins again.
        if ((await newestStep(this.store)) !== null) from = "resumed";
      }
    }
  }

  /** Trains until the end, a pause or an error. Returns whether it came to the end. */
  private async trainOnce(value: unknown, begin: Beginning, started: () => void): Promise<boolean> {
    this.tell({ kind: "said", text: "Opening the data set" });
    const { config, data } = await this.check(value);
    const tokenizer = await this.tokenizerFor(config, data, begin);
    this.tell({ kind: "said", text: "Planning a step" });
    const choices = config.training.tuning ? choiceDatabase() : undefined;
    const engine = await Engine.create(choices ? { choices } : {});
    let trainer: Trainer | null = null;
    try {
      requirePrecision(engine, config.precision);
      this.estimated = await this.plan(engine, config, tokenizer.size);
      const set = await data.training();
      const model = makeModel(engine, config, tokenizer.size);
      trainer = makeTrainer(engine, model, tokenizer, set, config);
      const { store } = this;
      const events = this.events(engine, trainer, started);
      const cut = tellCut(tokenizer, config.model, textsOf(config, set), "texts of the training data");
      if (cut) events.message(cut);
      const journal = new Journal(store);
      if (begin === "resumed") {
        const { step, seconds } = await loadCheckpoint(
          store,
          model.parameters,
          trainer.optimizer,
          events.message,
        );
        if (step > config.training.steps)
          throw new ConfigError(`The run is at step ${step} already, beyond ${config.training.steps}.`);
        trainer.earlierSeconds = seconds;
        await journal.open(step);
        await store.write(files.config, `${JSON.stringify(config, null, 2)}\n`);
        this.glances = this.glances.filter((glance) => glance.step < step);
        await store.write(own.glances, this.glances.map(lineOf).join(""));
        this.step = step;
        this.turn("training", { history: await this.history() });
      } else {
        if (this.weights) {
          const { tensors } = await openCheckpoint(blobSource(this.weights.weights, files.model));
          await model.parameters.stream(modelTensors(tensors));
        } else model.parameters.initialize(config.seed);
        this.glances = [];
        this.step = 0;
      }
      this.config = config as unknown as Record<string, unknown>;
      let sheet: readonly SheetRow[] = [];
      const claim = async () => {
        await this.clear();
        await store.write(files.config, `${JSON.stringify(config, null, 2)}\n`);
        await store.write(files.tokenizer, JSON.stringify(tokenizer.toJSON()));
        await journal.open();
        await store.write(own.glances, this.glances.map(lineOf).join(""));
        await store.write(own.sheet, JSON.stringify(sheet));
      };
      const subject = { config, engine, model, tokenizer };
      const validation = await Validation.open(subject, data);
      const small = smallSplit(await data.open(glanceSplit));
      const pause = new Glances(subject, small, config.training.steps, async (glance, rows) => {
        this.glances.push(glance);
        sheet = rows;
        this.tell({ kind: "glance", glance, sheet: this.sheetOf(rows) });
        if (glance.step === 0) return;
        await store.append(own.glances, lineOf(glance));
        await store.write(own.sheet, JSON.stringify(rows));
      });
      const stop = () => this.stopping;
      const begun = { trainer, config, store, journal, validation };
      this.tell({ kind: "said", text: "Compiling the kernels of a step" });
      const done = await runSteps(begun, claim, { events, stop, pause }).catch((error: Error) => {
        // A validation that was stopped.
        if (error.name === "StoppedError") return false;
        throw error;
      });
      this.step = trainer.optimizer.step;
      if (done) await streamTensors(store, files.model, model.parameters.entries(), { step: `${this.step}` });
      return done;
    } finally {
      trainer?.dispose();
      engine.dispose();
    }
  }

  /** What is told of steps: gathered, as a fast GPU makes hundreds of them a second. */
  private events(engine: Engine, trainer: Trainer, started: () => void): RunEvents {
    const memory = (): RunMemory => {
      const planned = trainer.captured?.memory.planned ?? null;
      return { estimated: this.estimated, planned, used: engine.stats().usedBytes + (planned ?? 0) };
    };
    return {
      message: (text) => this.tell({ kind: "said", text }),
      progress() {},
      step: (record) => {
        this.step = record.step;
        started();
        this.records.push(record);
        this.timer ??= setTimeout(() => this.say(memory()), gathering);
      },
    };
  }

  /** Tells the steps that wait to be told. */
  private say(memory: RunMemory = { estimated: this.estimated, planned: null, used: 0 }): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const records = this.records.splice(0);
    if (records.length > 0) this.tell({ kind: "steps", records, memory });
  }

  async pause(): Promise<void> {
    this.stopping = true;
    await this.work.catch(() => {});
  }

  private async clear(): Promise<void> {
    for (const file of await this.store.list()) await this.store.remove(file);
  }

  async remove(): Promise<void> {
    this.require("none", "paused", "finished");
    await this.clear();
    if (!this.readable()) this.config = tiny;
    this.weights = null;
    this.step = 0;
    this.turn("none", { history: { records: [], glances: [], sheet: [] } });
  }

  /** Takes what the command line or another page has left in a run's folder. */
  async load({ files: given, as }: Parameters<Calls["loadRun"]>[0]): Promise<void> {
    this.require("none");
    const named = new Map(given.map(({ name, file }) => [name.split("/").at(-1)!, file]));
    if (as === "weights") {
      const read = await readModel(given, true);
      const { name, model } = read.config;
      requirePictures(model.vision, (await this.opened()).preparation);
      this.weights = read;
      this.config = { ...tiny, name: `${name}-tuned`, model };
      this.turn("none");
      return;
    }
    const wanted = [files.config, files.tokenizer];
    const kept = [...named.keys()].filter((name) => /^checkpoint-\d+\.safetensors$/.test(name));
    const missing = wanted.filter((name) => !named.has(name));
    if (kept.length === 0) missing.push("checkpoint-*.safetensors");
    if (missing.length > 0)
      throw new Error(
        `A run goes on from ${files.config}, ${files.tokenizer} and a checkpoint; ${missing.join(", ")} is not among the files. ` +
          "Weights alone can be fine-tuned.",
      );
    const config = JSON.parse(await named.get(files.config)!.text()) as Record<string, unknown>;
    await this.check(config);
    await this.clear();
    try {
      for (const name of [...wanted, files.steps, ...kept]) {
        const file = named.get(name);
        if (file) await this.store.write(name, (write) => copy(file, write));
      }
      const source = await this.store.open((await listCheckpoints(this.store))[0]!);
      await openCheckpoint(source);
    } catch (error) {
      await this.clear();
      throw error;
    }
    await this.find();
    this.turn(this.state, { history: await this.history() });
  }

  /** The files of the run, with its weights as they are at its newest checkpoint. */
  async files(): Promise<PictureFile[]> {
    this.require("paused", "finished");
    const { store } = this;
    await writeWeights(store, files.model);
    const names = [
      files.config,
      files.tokenizer,
      files.model,
      files.steps,
      ...(await listCheckpoints(store)).slice(0, 1),
    ];
    const found: PictureFile[] = [];
    for (const name of names) {
      const file = await store.fileOf(name);
      if (file) found.push({ name, file });
    }
    return found;
  }
}

/** Bytes that are copied at a time. */
const piece = 8 << 20;

async function copy(file: Blob, write: (bytes: Uint8Array) => Promise<void>): Promise<void> {
  for (let from = 0; from < file.size; from += piece)
    await write(new Uint8Array(await file.slice(from, from + piece).arrayBuffer()));
}

/** Takes the page's run for as long as the tab is open. Returns whether it could be had. */
function takeLock(options: { ifAvailable?: boolean }): Promise<boolean> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(place, options, (lock) => {
        resolve(lock !== null);
        return lock && new Promise(() => {});
      })
      .catch(reject);
  });
}

const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
