// The Kernels tab: the bench's cases on this GPU as a table with bars, their roofline, and an editor in which a kernel is
// changed, checked and timed beside what it was.
import { namesAsked } from "../../../cases/filter.ts";
import type { Peak } from "../../../train/profile/peak/peak.ts";
import type {
  CaseRow,
  KernelCalls,
  KernelEntry,
  KernelNews,
  KernelsOpened,
  KernelText,
  Outcome,
  Timed,
} from "../../kernels.ts";
import { Client } from "../client.ts";
import { button, columnHead, el, fill, wideTable } from "../dom.ts";
import { KernelEditor } from "./editor.ts";
import { type EditOf, figuresOf, reportPage } from "./report.ts";
import { type Dot, roofline } from "./roofline.ts";
import { outcomeWords, partWords, round, spreadOf, standing } from "./words.ts";

/** What a row of the table shows. */
interface Row {
  row: CaseRow;
  element: HTMLTableRowElement;
  result: Timed | { failed: string } | null;
}

export class KernelsPanel {
  readonly element = el("section", { class: "kernels" });
  private readonly client: Client<KernelCalls, KernelNews>;
  private opened: KernelsOpened | null = null;
  private peak: Peak | null = null;
  private rows: Row[] = [];
  private entries: KernelEntry[] = [];
  private readonly texts = new Map<string, KernelText>();
  private readonly edits = new Map<string, { text: string; timedOn: string; outcome: Outcome | null }>();
  private current: string | null = null;
  private busy = false;
  private stopping = false;

  private readonly status = el("p", { attributes: { role: "status" } });
  private readonly alert = el("p", { class: "message", attributes: { role: "alert" } });
  private readonly filter = el("input", {
    attributes: {
      type: "text",
      id: "kernel-filter",
      placeholder: "such as softmax, 577x768",
      autocomplete: "off",
    },
    on: { input: () => this.showRows() },
  });
  private readonly measureAll = button("Measure", () => this.measure(this.able()));
  private readonly stopButton = button("Stop", () => this.stop());
  private readonly copyButton = button("Copy as JSON", () => this.copy());
  private readonly saveButton = button("Save as HTML", () => this.save());
  private readonly body = el("tbody");
  private readonly none = el("p", { class: "quiet", attributes: { role: "status" } });
  private readonly drawing = el("div", { class: "drawing" });
  private readonly select = el("select", {
    attributes: { id: "kernel-name" },
    on: { change: () => void this.openKernel(this.select.value) },
  });
  private readonly timedOn = el("select", {
    attributes: { id: "kernel-case" },
    on: { change: () => this.chooseCase() },
  });
  private readonly tryButton = button("Check and time", () => this.tryEdit());
  private readonly backButton = button("Put back the original", () => this.putBack());
  private readonly derived = el("pre", { attributes: { tabindex: 0, "aria-label": "What is derived" } });
  private readonly verdict = el("div", { class: "verdict", attributes: { role: "status" } });
  private readonly editor = new KernelEditor(
    (text) => this.edited(text),
    () => void this.tryEdit(),
  );
  private readonly workshop = el("section", { class: "card workshop" });

  constructor() {
    const worker = new Worker(new URL("../../worker/kernels.ts", import.meta.url), { type: "module" });
    this.client = new Client(worker, (why) => {
      this.alert.textContent = `The worker that measures has ended (${why}). Load the page again.`;
    });
    this.client.listen((news) => this.hear(news));
    const table = wideTable(
      "Cases of the bench",
      [
        columnHead("case"),
        columnHead("inputs", "inputs"),
        ...["ms", "spread", "rate", "of its roof"].map((text) => columnHead(text, "number")),
        columnHead("kernels"),
        el("td"),
      ],
      this.body,
    );
    const label = (id: string, text: string) => el("label", { text, attributes: { for: id } });
    this.workshop.append(
      el("h2", { text: "A kernel's WGSL" }),
      el("p", {
        class: "quiet",
        text: "Change it, and its cases of the op table run against float64 with a limit on the turns of every loop; where all are right it is timed beside the original, in turns. The other tabs keep theirs.",
      }),
      el(
        "div",
        { class: "choices" },
        el("div", {}, label("kernel-name", "Kernel"), this.select),
        el("div", {}, label("kernel-case", "Timed on"), this.timedOn),
      ),
      el(
        "details",
        {},
        el("summary", { text: "What is written in front: constants, bindings, parameters" }),
        this.derived,
      ),
      this.editor.element,
      el("div", { class: "buttons" }, this.tryButton, this.backButton),
      this.verdict,
    );
    this.element.append(
      el("p", {
        class: "quiet",
        text: "The bench's cases on this GPU, timed as `npm run bench` times them: five rounds of batches of 50 ms, the median counts. The spread is from the fastest round to the slowest. The roof is what the adapter's measured peaks allow: more than all of it is reached where data stays in a cache.".replaceAll(
          "`",
          "",
        ),
      }),
      el(
        "div",
        { class: "measure" },
        el("div", {}, label("kernel-filter", "Cases with one of these in their names"), this.filter),
        el("div", { class: "buttons" }, this.measureAll, this.stopButton, this.copyButton, this.saveButton),
      ),
      this.status,
      this.alert,
      table,
      this.none,
      this.drawing,
      this.workshop,
    );
    this.enable();
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  async open(): Promise<void> {
    this.status.textContent = "Opening the GPU";
    try {
      this.opened = await this.client.call("open");
      this.rows = this.opened.cases.map((row) => ({ row, element: el("tr"), result: null }));
      for (const one of this.rows) this.fillRow(one);
      this.body.append(...this.rows.map(({ element }) => element));
      this.showRows();
      this.status.textContent = "Finding which kernels run in which cases";
      this.entries = await this.client.call("kernels");
      this.status.textContent = `${this.opened.adapter}: ${this.entries.length} kernels run here. Nothing is measured yet.`;
      this.fillSelect();
      await this.openKernel(
        this.entries.some(({ name }) => name === "softmax") ? "softmax" : this.entries[0]!.name,
      );
    } catch (error) {
      this.status.textContent = "";
      this.alert.textContent = (error as Error).message;
    }
    this.enable();
  }

  private hear(news: KernelNews): void {
    if (news.kind === "lost") {
      this.alert.textContent = `The GPU was lost (${news.why}). The next run opens it again; figures and edits are kept.`;
      return;
    }
    const { what, done, total } = news;
    if (this.busy && !this.stopping) this.status.textContent = `${what}: ${done} of ${total}`;
  }

  // The table

  private fillRow(one: Row): void {
    const { row, element, result } = one;
    const cells: HTMLElement[] = [];
    const figure = (text: string, children: Node[] = []) => el("td", { class: "number", text }, ...children);
    if (row.lack !== null || (result && "failed" in result)) {
      const words = row.lack !== null ? `can't run here: ${row.lack}` : (result as { failed: string }).failed;
      cells.push(
        el("td", { class: row.lack === null ? "message" : "quiet", text: words, attributes: { colspan: 5 } }),
      );
    } else if (result && this.peak) {
      const { ofPeak, rate } = standing(result, this.peak);
      const bar = el("span", { class: "bar", attributes: { "aria-hidden": "true" } });
      bar.style.setProperty("--share", `${Math.min(1, ofPeak)}`);
      cells.push(
        figure(round(result.median)),
        figure(spreadOf(result)),
        figure(rate),
        el(
          "td",
          { class: "number" },
          bar,
          el("span", { class: "percent", text: `${Math.round(100 * ofPeak)} %` }),
        ),
        el(
          "td",
          { class: "parts" },
          ...result.parts.map((part) =>
            el("button", {
              class: "part",
              text: partWords(part),
              attributes: { type: "button", title: `Edit ${part.kernel}` },
              on: { click: () => void this.openKernel(part.kernel, result.name, true) },
            }),
          ),
          result.wrong === null ? null : el("p", { class: "message", text: `WRONG: ${result.wrong}` }),
        ),
      );
    } else cells.push(...Array.from({ length: 5 }, () => el("td")));
    const words = result ? "Again" : "Measure";
    const again = el("button", {
      class: "again",
      text: words,
      attributes: { type: "button", "aria-label": `${words}: ${row.name}` },
      on: { click: () => void this.measure([one]) },
    });
    again.disabled = this.busy || row.lack !== null;
    element.dataset.case = row.name;
    element.className = result && !("failed" in result) && result.wrong !== null ? "wrong" : "";
    fill(
      element,
      el("th", { class: "case", text: row.name, attributes: { scope: "row" } }),
      el("td", { class: "inputs", text: row.shapes }),
      ...cells,
      el("td", {}, again),
    );
  }

  private shown(): Row[] {
    const names = this.rows.map(({ row }) => row.name);
    const asked = namesAsked(names, this.filter.value);
    return this.rows.filter(({ row }) => asked.has(row.name));
  }

  private showRows(): void {
    const shown = new Set(this.shown());
    for (const row of this.rows) row.element.hidden = !shown.has(row);
    this.none.textContent = shown.size === 0 ? `No case has "${this.filter.value.trim()}" in its name.` : "";
    this.measureAll.textContent = `Measure ${shown.size === this.rows.length ? "all" : "these"} ${this.able().length}`;
    this.enable();
  }

  /** Those shown that can run here. */
  private able(): Row[] {
    return this.shown().filter(({ row }) => row.lack === null);
  }

  private async measure(rows: readonly Row[]): Promise<void> {
    await this.busily(async () => {
      await this.needPeak();
      for (const [i, one] of rows.entries()) {
        if (this.stopping) break;
        this.status.textContent = `${one.row.name}, ${i + 1} of ${rows.length}`;
        try {
          one.result = await this.client.call("time", one.row.name);
        } catch (error) {
          if ((error as Error).name === "StoppedError") break;
          one.result = { failed: (error as Error).message };
        }
        this.fillRow(one);
        this.draw();
      }
      const { gflops, gbps } = this.peak!;
      this.status.textContent = `${this.stopping ? "Stopped. " : ""}${this.measured().length} of ${this.rows.length} cases are measured; the adapter's peaks are ${round(gflops)} GFLOP/s and ${round(gbps)} GB/s.`;
    });
  }

  private async needPeak(): Promise<void> {
    if (this.peak) return;
    this.status.textContent = "Measuring the adapter's peaks";
    this.peak = await this.client.call("peak");
  }

  /** Does something with the GPU, nothing else meanwhile. */
  private async busily(work: () => Promise<void>): Promise<void> {
    if (this.busy || !this.opened) return;
    this.busy = true;
    this.stopping = false;
    this.alert.textContent = "";
    this.enable();
    try {
      await work();
    } catch (error) {
      const { name, message } = error as Error;
      this.status.textContent = name === "StoppedError" ? "Stopped." : "";
      if (name !== "StoppedError") this.alert.textContent = message;
    } finally {
      this.busy = false;
      this.enable();
    }
  }

  private stop(): void {
    this.stopping = true;
    this.status.textContent = "Stopping";
    void this.client.call("stop");
  }

  private enable(): void {
    const ready = this.opened !== null && !this.busy;
    this.measureAll.disabled = !ready || this.able().length === 0;
    this.stopButton.disabled = !this.busy;
    this.tryButton.disabled = !ready || this.current === null;
    this.copyButton.disabled = this.saveButton.disabled = this.measured().length + this.edits.size === 0;
    const changed = this.current !== null && this.edits.has(this.current);
    this.backButton.disabled = !changed;
    for (const button of this.body.querySelectorAll<HTMLButtonElement>(".again"))
      button.disabled = this.busy || button.closest("tr")!.querySelector("td.quiet") !== null;
  }

  private measured(): Timed[] {
    return this.rows.flatMap(({ result }) => (result && !("failed" in result) ? [result] : []));
  }

  // The roofline

  private draw(): void {
    const { peak } = this;
    const results = this.measured();
    if (!peak || results.length === 0) return;
    const outcome = this.current === null ? null : (this.edits.get(this.current)?.outcome ?? null);
    const right = outcome?.kind === "right" ? outcome : null;
    const marked = right?.timedOn ?? this.timedOn.value;
    const dots = results.flatMap((result): Dot[] => {
      const { name, flops, bytes } = result;
      const isMarked = name === marked;
      const gflops = isMarked && right ? right.original.gflops : result.gflops;
      if (flops === null || gflops === null) return [];
      const { bound } = standing(result, peak);
      const edited = isMarked && right ? right.edited.gflops : null;
      const moved =
        edited === null
          ? null
          : { gflops: edited, words: `edited: ${right!.ratio.median.toFixed(2)} times as fast` };
      return [{ name, flops, bytes, gflops, bound, marked: isMarked, moved }];
    });
    const still = results.filter(({ flops }) => flops === null).map(({ name }) => name);
    const note = still.length > 0 ? `Cases that only move numbers have no dot: ${still.join("; ")}.` : "";
    if (dots.length === 0) {
      fill(this.drawing, el("p", { class: "quiet", text: note }));
      return;
    }
    const width = Math.max(320, this.drawing.clientWidth - 34);
    fill(
      this.drawing,
      el(
        "figure",
        { class: "card" },
        el(
          "figcaption",
          {},
          el("b", { class: "drawing-title", text: "Roofline" }),
          key("compute", "bound by arithmetic"),
          key("memory", "bound by memory"),
          key("edit", "an edit"),
          key("roof", "measured peaks"),
        ),
        roofline(peak, dots, width),
        note === "" ? null : el("p", { class: "quiet", text: note }),
      ),
    );
  }

  // The editor

  private fillSelect(): void {
    const benched = new Set(this.rows.map(({ row }) => row.name));
    const inBench = (entry: KernelEntry) => entry.timed.some((name) => benched.has(name));
    const group = (label: string, entries: readonly KernelEntry[]) =>
      el(
        "optgroup",
        { attributes: { label } },
        ...entries.map(({ name }) =>
          el("option", {
            text: this.edits.has(name) ? `${name} (edited)` : name,
            attributes: { value: name },
          }),
        ),
      );
    fill(
      this.select,
      group("of the bench's cases", this.entries.filter(inBench)),
      group(
        "others that run here",
        this.entries.filter((entry) => !inBench(entry)),
      ),
    );
    if (this.current !== null) this.select.value = this.current;
  }

  /** Opens a kernel, where known to be timed on a case. */
  private async openKernel(name: string, timedOn?: string, show = false): Promise<void> {
    const entry = this.entries.find((one) => one.name === name);
    if (!entry) {
      this.alert.textContent = `No small case of the op table runs the kernel ${name}: it can't be checked.`;
      return;
    }
    let text = this.texts.get(name);
    if (!text) {
      try {
        text = await this.client.call("source", name);
      } catch (error) {
        this.alert.textContent = (error as Error).message;
        return;
      }
      this.texts.set(name, text);
    }
    this.current = name;
    this.select.value = name;
    const edit = this.edits.get(name);
    fill(
      this.timedOn,
      ...entry.timed.map((name) => el("option", { text: name, attributes: { value: name } })),
    );
    const wanted = timedOn ?? edit?.timedOn;
    if (wanted !== undefined && entry.timed.includes(wanted)) this.timedOn.value = wanted;
    this.derived.textContent = text.derived;
    this.editor.open(name, edit?.text ?? text.text);
    this.tell(edit?.outcome ?? null);
    this.enable();
    this.draw();
    if (show) {
      this.workshop.scrollIntoView({ block: "start" });
      this.select.focus();
    }
  }

  private chooseCase(): void {
    const edit = this.edits.get(this.current!);
    if (edit) edit.timedOn = this.timedOn.value;
    this.draw();
  }

  private edited(text: string): void {
    const name = this.current;
    if (name === null) return;
    const wasEdited = this.edits.has(name);
    if (text === this.texts.get(name)!.text) this.edits.delete(name);
    else this.edits.set(name, { text, timedOn: this.timedOn.value, outcome: null });
    // What was said is of another text.
    this.tell(null);
    if (wasEdited !== this.edits.has(name)) this.fillSelect();
    this.enable();
    this.draw();
  }

  private putBack(): void {
    const name = this.current;
    if (name !== null) this.editor.replace(this.texts.get(name)!.text);
  }

  private async tryEdit(): Promise<void> {
    const name = this.current;
    if (name === null) return;
    const { text } = this.edits.get(name) ?? this.texts.get(name)!;
    const timedOn = this.timedOn.value;
    await this.busily(async () => {
      this.tell(null);
      await this.needPeak();
      this.status.textContent = `Compiling ${name}`;
      const outcome = await this.client.call("try", { kernel: name, text, timedOn });
      const edit = this.edits.get(name);
      if (edit?.text === text) edit.outcome = outcome;
      this.status.textContent = "";
      if (this.current === name) this.tell(outcome);
      if (outcome.kind === "right") await this.showTimed(timedOn);
      this.draw();
    });
  }

  /** The case of an edit is in the table and the roofline as well. */
  private async showTimed(name: string): Promise<void> {
    const one = this.rows.find(({ row }) => row.name === name);
    if (!one || (one.result && !("failed" in one.result))) return;
    one.result = await this.client.call("time", name);
    this.fillRow(one);
  }

  /** Says what became of the edit on show. */
  private tell(outcome: Outcome | null): void {
    this.editor.mark(outcome?.kind === "broken" ? outcome.faults : []);
    if (!outcome) {
      fill(this.verdict);
      return;
    }
    const { good, words } = outcomeWords(outcome);
    fill(
      this.verdict,
      el("p", { class: good ? "good" : "message", text: words }),
      outcome.kind === "broken" && this.faultList(outcome),
      outcome.kind === "wrong" && wrongList(outcome),
    );
  }

  private faultList({ faults }: Outcome & { kind: "broken" }): HTMLElement | null {
    if (faults.length === 0) return null;
    return el(
      "ul",
      { class: "faults" },
      ...faults.map((fault) =>
        el(
          "li",
          {},
          fault.line > 0
            ? button(`line ${fault.line}`, () => this.editor.goTo(fault))
            : el("b", { text: "in what is written in front" }),
          ` ${fault.message}`,
        ),
      ),
    );
  }

  // What is taken along

  private figures() {
    const edits = [...this.edits].map(([kernel, { text, timedOn, outcome }]): EditOf => {
      const original = this.texts.get(kernel)!.text;
      return { kernel, text, original, timedOn, outcome };
    });
    const unmeasured = this.rows.flatMap(({ row, result }) => {
      if (row.lack !== null) return [{ name: row.name, why: row.lack }];
      return result && "failed" in result ? [{ name: row.name, why: result.failed }] : [];
    });
    return figuresOf(this.opened!, this.peak, this.measured(), unmeasured, edits);
  }

  private async copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(`${JSON.stringify(this.figures(), null, 2)}\n`);
      this.status.textContent = "Copied.";
    } catch (error) {
      this.alert.textContent = `The browser did not let the page copy: ${(error as Error).message}`;
    }
  }

  private save(): void {
    const drawn = this.drawing.querySelector("svg.roofline")?.outerHTML ?? null;
    const blob = new Blob([reportPage(this.figures(), drawn)], { type: "text/html" });
    const url = URL.createObjectURL(blob);
    el("a", { attributes: { href: url, download: "casement-kernels.html" } }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
    this.status.textContent = "Saved as casement-kernels.html.";
  }
}

const key = (kind: string, text: string) => el("span", { class: "key" }, el("i", { class: kind }), text);

function wrongList({ cases }: Outcome & { kind: "wrong" }): HTMLElement {
  return el(
    "ul",
    { class: "faults" },
    ...cases.map(({ name, failures, elements, originalToo }) => {
      const [element] = elements;
      return el(
        "li",
        {},
        el("b", { text: name }),
        originalToo ? " (the original is wrong here as well)" : null,
        element &&
          el("p", {
            text: `${element.output}, element ${element.index}: ${element.got} instead of ${element.wanted}`,
          }),
        el("p", { class: "quiet", text: failures.slice(0, 3).join("; ") }),
      );
    }),
  );
}
