// Training in the page: the form, where the run stands, curves, the contact sheet, and files that come and go.
import type { StepRecord } from "../../train/loop/record.ts";
import type { Glance, News, PictureFile, RunHistory, RunMemory, RunNews, SheetQuery } from "../messages.ts";
import { Chart } from "./chart.ts";
import type { Client } from "./client.ts";
import { button, count, el, fill } from "./dom.ts";
import { dropListeners, fileChooser } from "./files.ts";
import { ConfigForm } from "./form.ts";
import { picture } from "./sight.ts";

/** Share of a new loss in the smooth curve. */
const freshness = 0.05;
/** Steps that a rate is told of. */
const recent = 10;

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const mib = (bytes: number) => {
  const size = bytes / 2 ** 20;
  return `${size < 10 ? size.toFixed(1) : count(Math.round(size))} MiB`;
};

export class TrainPanel {
  readonly element = el("section", { class: "train" });
  private readonly form = new ConfigForm();
  private readonly line = el("p", { class: "standing", attributes: { role: "status" } });
  private readonly said = el("p", { class: "quiet" });
  private readonly message = el("p", { class: "message", attributes: { role: "alert" } });
  private readonly note = el("p", { class: "notes", attributes: { role: "status" } });
  private readonly bar = el("progress", { attributes: { "aria-label": "Steps done" } });
  private readonly figures = el("dl", { class: "figures" });
  private readonly start = button("Start training", () => this.begin(), "primary");
  private readonly estimate = button("Estimate memory", () => this.ask());
  private readonly pause = button("Pause", () => this.halt());
  private readonly resume = button("Go on", () => this.goOn(), "primary");
  private readonly remove = button("Remove this run", () => this.leave());
  private readonly until = el("input", {
    attributes: { type: "text", id: "train-until", inputmode: "numeric", autocomplete: "off" },
  });
  private readonly onward = el(
    "p",
    { class: "onward" },
    el("label", { text: "to step", attributes: { for: "train-until" } }),
    this.until,
  );
  private readonly loading = el("div", { class: "loading" });
  private readonly welcome = el("p", {
    class: "quiet",
    text: "CASE learns here, on your own GPU, by the steps of the command line: 7,562 pictures of emoji, and what turns one into another. You see its loss, how often it finds the picture that is meant, and what it answers to the same eight questions. The run stays in this browser: pause it, close the page, and go on another day; or take its files to the command line and back.",
  });
  private readonly downloads = el("p", { class: "buttons" });
  private readonly keeping = el(
    "section",
    { class: "card keeping" },
    el("h2", { text: "Take it with you" }),
    el("p", {
      class: "quiet",
      text: "A folder of these files is a run of the command line's: casement eval, search and train --resume read it.",
    }),
    this.downloads,
  );
  private readonly loss = new Chart("Loss", [
    { name: "each step", color: "line-strong", width: 1, format: null },
    { name: "smoothed", color: "accent", width: 2, format: (value) => value.toFixed(3) },
  ]);
  private readonly recall = new Chart(
    "Recall",
    [
      { name: "R@10", color: "good", width: 2, format: percent },
      { name: "R@1", color: "accent", width: 2, format: percent },
    ],
    [0, 1],
  );
  private readonly charts = el("div", { class: "charts" }, this.loss.element, this.recall.element);
  private readonly sheet = el("ol", { class: "sheet" });
  private readonly sheetLine = el("p", { class: "quiet" });
  private readonly contact = el(
    "section",
    { class: "card contact" },
    el("h2", { text: "The same questions as it learns" }),
    this.sheetLine,
    this.sheet,
  );
  private news: RunNews | null = null;
  private records: StepRecord[] = [];
  private glances: Glance[] = [];
  private memory: RunMemory | null = null;
  private isOpen = false;
  private isSure = false;

  constructor(private readonly client: Client) {
    client.listen((news) => this.hear(news));
    this.element.hidden = true;
    const chooser = (id: string, text: string, as: "run" | "weights") =>
      fileChooser(id, text, { multiple: true }, (files) => this.load(files, as));
    this.loading.append(
      el("h2", { text: "Or go on from a folder" }),
      el("p", {
        class: "quiet",
        text: "Of a run or an import: config.json, tokenizer.json and a checkpoint go on where they stand; with model.safetensors instead, a new run starts from its weights.",
      }),
      el(
        "p",
        { class: "buttons" },
        ...chooser("load-run", "Go on with a run", "run"),
        ...chooser("load-weights", "Fine-tune weights", "weights"),
      ),
    );
    const controls = el(
      "section",
      {
        class: "card setup",
        on: dropListeners((handed) =>
          this.attempt(async () => {
            const { files, faults } = await handed;
            if (faults[0]) throw new Error(`${faults[0].name} could not be read: ${faults[0].why}`);
            const isRun = files.some(({ name }) => /checkpoint-\d+\.safetensors$/.test(name));
            await this.load(files, isRun ? "run" : "weights");
          }),
        ),
      },
      el("h2", { text: "Train CASE on Emoji-CoIR" }),
      this.note,
      this.form.element,
      el("p", { class: "buttons" }, this.start, this.estimate),
      this.loading,
    );
    const standing = el(
      "section",
      { class: "card state" },
      this.line,
      this.welcome,
      this.bar,
      this.message,
      this.said,
      this.figures,
      el("div", { class: "buttons" }, this.pause, this.resume, this.onward, this.remove),
    );
    this.element.append(
      controls,
      el("div", { class: "progress" }, standing, this.charts, this.contact, this.keeping),
    );
  }

  /** Takes the run, when the tab is shown for the first time. */
  async open(): Promise<void> {
    if (this.isOpen) return;
    this.isOpen = true;
    this.element.hidden = false;
    this.line.textContent = "Loading";
    try {
      const { fields, news, history } = await this.client.call("openRun");
      this.form.open(fields);
      this.setHistory(history);
      this.set(news);
    } catch (error) {
      this.isOpen = false;
      this.line.textContent = "";
      this.message.textContent = (error as Error).message;
    }
  }

  /** Without WebGPU. */
  refuse(): void {
    fill(
      this.element,
      el("section", { class: "card" }, el("p", { text: "Training needs WebGPU, which is missing here." })),
    );
    this.isOpen = true;
    this.element.hidden = false;
  }

  private hear(news: News): void {
    if (news.kind === "run") {
      if (news.history) this.setHistory(news.history);
      this.set(news.news);
      if (news.fault !== undefined) this.message.textContent = news.fault;
    } else if (news.kind === "steps") {
      this.records.push(...news.records);
      if (news.memory.used > 0) this.memory = news.memory;
      this.said.textContent = "";
      this.drawSteps();
    } else if (news.kind === "glance") {
      this.glances.push(news.glance);
      this.drawGlances(news.sheet);
    } else if (news.kind === "said") this.said.textContent = news.text;
  }

  private setHistory({ records, glances, sheet }: RunHistory): void {
    this.records = records;
    this.glances = glances;
    this.memory = null;
    this.drawSteps();
    this.drawGlances(sheet);
  }

  private set(news: RunNews): void {
    const before = this.news;
    this.news = news;
    const { state, config, weights, step, steps } = news;
    const isKept = state === "paused" || state === "finished";
    const isBusy = state === "opening" || state === "training";
    if (before?.config !== config && state !== "opening") this.form.set(config);
    if (state === "none" && before && before.state !== "none" && before.state !== "opening")
      this.records = [];
    this.form.element.disabled = state !== "none";
    this.start.hidden = state !== "none";
    this.estimate.hidden = state !== "none";
    this.loading.hidden = state !== "none";
    this.pause.hidden = !isBusy;
    this.pause.disabled = false;
    this.pause.textContent = state === "training" ? "Pause" : "Stop";
    this.resume.hidden = !isKept;
    this.onward.hidden = !isKept;
    this.remove.hidden = !isKept;
    this.remove.textContent = "Remove this run";
    this.isSure = false;
    this.resume.disabled = false;
    this.keeping.hidden = !isKept;
    this.bar.hidden = state === "none" || state === "elsewhere";
    this.until.value = `${steps}`;
    const { name } = config as { name?: string };
    this.note.textContent = weights === null ? "" : `A new run starts from the weights of ${weights}.`;
    this.line.textContent = {
      elsewhere: "The run is open in another tab of this page. Close that one, and this one takes it.",
      none: "No run is kept in this browser yet",
      opening: "Getting ready",
      training: `${name} is training`,
      paused: `${name} is paused at step ${count(step)} of ${count(steps)}`,
      finished: `${name} has ended at step ${count(step)}`,
    }[state];
    if (!isBusy) this.said.textContent = "";
    const hasSteps = this.records.length > 0 || isBusy;
    this.charts.hidden = !hasSteps;
    this.contact.hidden = this.glances.length === 0;
    this.figures.hidden = !hasSteps;
    this.welcome.hidden = state !== "none";
    this.drawSteps();
    this.advance(step, steps);
    if (isKept) this.offer();
    this.element.dataset.state = state;
  }

  private advance(step: number, steps: number): void {
    this.bar.max = Math.max(1, steps);
    this.bar.value = step;
  }

  private drawSteps(): void {
    const { records, news } = this;
    let smooth = Number.NaN;
    const smoothed = records.map(({ loss }) => {
      smooth = Number.isNaN(smooth) ? loss : smooth + freshness * (loss - smooth);
      return smooth;
    });
    const steps = records.map(({ step }) => step);
    this.loss.set(steps, [records.map(({ loss }) => loss), smoothed]);
    const last = records.at(-1);
    if (!last || !news) return;
    this.element.dataset.step = `${last.step}`;
    this.charts.hidden = false;
    this.figures.hidden = false;
    this.advance(last.step, news.steps);
    const late = records.slice(-recent);
    const rate = late.reduce((sum, { samples_per_second }) => sum + samples_per_second / late.length, 0);
    const before = records.at(-1 - recent) ?? records[0]!;
    const perStep = (last.seconds - before.seconds) / Math.max(1, last.step - before.step);
    const left = Math.max(0, news.steps - last.step) * perStep;
    const { memory } = this;
    const rows: [string, string][] = [
      ["step", `${count(last.step)} of ${count(news.steps)}`],
      ["samples a second", rate < 10 ? rate.toFixed(1) : count(Math.round(rate))],
      ["time so far", timeOf(last.seconds)],
      ...(news.state === "training" && records.length > 2
        ? [["time left", timeOf(left)] as [string, string]]
        : []),
      ["learning rate", last.learning_rate.toPrecision(2)],
      ["temperature", last.temperature.toPrecision(3)],
      ...(memory
        ? ([
            ["memory estimated", `${mib(memory.estimated)} at most`],
            ["planned for a step", memory.planned === null ? "–" : mib(memory.planned)],
            ...(news.state === "training" ? [["used", mib(memory.used)]] : []),
          ] as [string, string][])
        : []),
    ];
    fill(
      this.figures,
      ...rows.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))),
    );
  }

  private drawGlances(sheet: readonly SheetQuery[]): void {
    const { glances } = this;
    const last = glances.at(-1);
    this.recall.set(
      glances.map(({ step }) => step),
      ["r10", "r1"].map((name) => glances.map(({ metrics }) => metrics[name]!)),
    );
    this.contact.hidden = !last;
    if (!last) return;
    const { step, queries, pictures } = last;
    this.element.dataset.glance = `${step}`;
    this.sheetLine.textContent = `At step ${count(step)}: ${sheet.length} of the ${queries} questions that recall is told of, all of unseen combinations, each ranked among ${pictures} pictures. The picture that is meant is framed in green.`;
    fill(this.sheet, ...sheet.map(queryItem));
  }

  /** Does something of the worker's and says what went wrong. */
  private async attempt(work: () => Promise<void>): Promise<void> {
    this.message.textContent = "";
    try {
      await work();
    } catch (error) {
      this.message.textContent = (error as Error).message;
    }
  }

  private async begin(): Promise<void> {
    this.start.disabled = true;
    // Asks the browser not to clear the run away when the disk gets full.
    await navigator.storage?.persist?.().catch(() => false);
    this.records = [];
    this.glances = [];
    await this.attempt(() => this.client.call("startRun", this.form.get()));
    this.start.disabled = false;
  }

  private async ask(): Promise<void> {
    this.estimate.disabled = true;
    this.note.textContent = "Planning a step";
    await this.attempt(async () => {
      const bytes = await this.client.call("estimateRun", this.form.get());
      this.note.textContent = `Training takes ${mib(bytes)} on the GPU at most.`;
    });
    if (this.note.textContent === "Planning a step") this.note.textContent = "";
    this.estimate.disabled = false;
  }

  private async halt(): Promise<void> {
    this.pause.disabled = true;
    this.said.textContent = "Pausing behind the step at hand";
    await this.attempt(() => this.client.call("pauseRun"));
  }

  private async goOn(): Promise<void> {
    const steps = Number(this.until.value.replaceAll(",", ""));
    this.resume.disabled = true;
    await this.attempt(() => this.client.call("resumeRun", steps === this.news?.steps ? null : steps));
    this.resume.disabled = false;
  }

  private async leave(): Promise<void> {
    if (!this.isSure) {
      this.isSure = true;
      this.remove.textContent = "Remove it for good?";
      return;
    }
    await this.attempt(() => this.client.call("removeRun"));
  }

  private async load(files: PictureFile[], as: "run" | "weights"): Promise<void> {
    if (files.length > 0) await this.attempt(() => this.client.call("loadRun", { files, as }));
  }

  /** The files of the run, each by a button. */
  private offer(): void {
    const show = async () => {
      fill(this.downloads, el("span", { class: "quiet", text: "Writing them" }));
      await this.attempt(async () => {
        const files = await this.client.call("runFiles");
        fill(
          this.downloads,
          ...files.map(({ name, file }) =>
            el("a", {
              class: "button",
              text: name,
              attributes: { href: URL.createObjectURL(file), download: name },
            }),
          ),
        );
      });
      if (this.downloads.querySelector("a") === null) this.offer();
    };
    for (const link of this.downloads.querySelectorAll("a")) URL.revokeObjectURL(link.href);
    fill(this.downloads, button("Prepare the files", show));
  }
}

function queryItem({ text, reference, target, rank, answers }: SheetQuery): HTMLElement {
  const frame = (shown: SheetQuery["target"], name: string, label: string) =>
    el("span", { class: name }, picture(shown.sight, label));
  return el(
    "li",
    { class: "query" },
    el(
      "p",
      { class: "asked" },
      frame(reference, "thumb", reference.label),
      el("span", { class: "text", text }),
      frame(target, "thumb right", `meant: ${target.label}`),
      el("span", { class: rank === 1 ? "chip best" : "chip", text: `rank ${count(rank)}` }),
    ),
    el(
      "p",
      { class: "found-answers" },
      ...answers.map((answer) =>
        frame(
          answer,
          answer.right ? "thumb right" : "thumb",
          `${answer.label}${answer.right ? ", right" : ""}`,
        ),
      ),
    ),
  );
}

function timeOf(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}
