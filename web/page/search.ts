// The search: a reference picture, what should change, and the answers by picture alone, by text alone and by both.
import type { Label, Way } from "../../train/eval/audit.ts";
import type {
  Answer,
  Found,
  GalleryNews,
  Given,
  Look,
  Opened,
  PictureFile,
  Question,
  Referred,
} from "../messages.ts";
import { type Client, Latest } from "./client.ts";
import { button, count, el, fill, refill } from "./dom.ts";
import { dropListeners, fileChooser, picturesAmong } from "./files.ts";
import { picture } from "./sight.ts";

/** Milliseconds of silence before a text is searched. */
const patience = 120;

const columns: readonly { way: Way; title: string }[] = [
  { way: "image", title: "Picture alone" },
  { way: "text", title: "Text alone" },
  { way: "both", title: "Both" },
];

const meanings: Record<Label, string> = {
  "shortcut-solvable": "one of the two alone would have been enough",
  "shortcut-free": "neither picture nor text alone is enough",
  "composition-required": "both together find it: this is what fusion adds",
  unresolved: "both together do not find it either",
};

export class SearchPanel {
  readonly element = el("section", { class: "search" });
  private readonly frame = el("div", { class: "frame" });
  private readonly overlay = el("div", { class: "overlay", attributes: { "aria-hidden": "true" } });
  private readonly caption = el("figcaption", { text: "No picture yet", attributes: { dir: "auto" } });
  private readonly input = el("input", {
    attributes: {
      type: "text",
      id: "change",
      autocomplete: "off",
      dir: "auto",
      placeholder: "make the skin dark",
      spellcheck: "false",
    },
  });
  private readonly looks = el("div", { class: "words" });
  private readonly examples = el("div", { class: "examples" });
  private readonly trying = el(
    "section",
    { class: "card trying" },
    el("h2", { text: "Examples" }),
    this.examples,
  );
  private readonly message = el("p", { class: "message", attributes: { role: "alert" } });
  private readonly notes = el("p", { class: "notes", attributes: { role: "status" } });
  private readonly lists = new Map(columns.map(({ way }) => [way, el("ol", { class: "answers" })]));
  private readonly verdict = el("section", { class: "card verdict", attributes: { "aria-live": "polite" } });
  private readonly wordings = el("section", { class: "card wordings", attributes: { hidden: true } });
  private readonly spread = el("div");
  private readonly wording = el("input", {
    attributes: {
      ...{ type: "text", id: "wording", autocomplete: "off", dir: "auto" },
      placeholder: "another way to say it",
    },
  });
  private readonly status = el("p", { class: "quiet", attributes: { role: "status" } });

  private reference: Referred | null = null;
  /** Places of the right answers, and whether the person has said so rather than an example. */
  private right: number[] = [];
  private isMeant = false;
  private own: string[] = [];
  private found: Found | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly questions = new Latest<Question>((question, isLast) => this.answer(question, isLast));
  private readonly given = new Latest<Given>((given) => this.take(given));
  private withoutModel = false;

  constructor(private readonly client: Client) {
    const figure = el(
      "figure",
      {
        class: "reference",
        on: dropListeners(async (handed) => {
          const { files } = await handed.catch(() => ({ files: [] }));
          this.giveFiles(files, "dropped");
        }),
      },
      el("div", { class: "stage" }, this.frame, this.overlay),
      this.caption,
    );
    document.addEventListener("paste", (event) => {
      const files = Array.from(event.clipboardData?.files ?? [], (file) => ({
        file,
        name: file.name || "pasted picture",
      }));
      if (this.element.closest("[hidden]")) return;
      // What office programs copy is both text and picture: in a field it is text.
      const isText = event.clipboardData?.types.includes("text/plain");
      if (event.target instanceof HTMLInputElement && (isText || files.length === 0)) return;
      event.preventDefault();
      this.giveFiles(files, "pasted");
    });
    this.input.addEventListener("input", () => {
      if (!this.isMeant) this.right = [];
      this.own = [];
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), patience);
    });

    this.element.append(
      el(
        "div",
        { class: "card ask" },
        figure,
        el(
          "p",
          { class: "quiet" },
          ...fileChooser("reference", "Choose a picture", { accept: "image/*" }, (files) =>
            this.giveFiles(files),
          ),
          " or drop or paste one; a click on an answer says that you meant it",
        ),
        el("label", { text: "What should change?", attributes: { for: "change" } }),
        this.input,
        this.looks,
        this.message,
        this.notes,
      ),
      el(
        "div",
        { class: "found" },
        ...columns.map(({ way, title }) =>
          el(
            "section",
            { class: `card column ${way}`, attributes: { "aria-labelledby": `column-${way}` } },
            el("h2", { text: title, attributes: { id: `column-${way}` } }),
            this.lists.get(way)!,
          ),
        ),
        this.verdict,
        this.wordings,
        this.status,
      ),
      this.trying,
    );
    this.showVerdict();
    const add = (event: Event) => {
      event.preventDefault();
      const other = this.wording.value.trim();
      if (other === "" || other === this.input.value.trim()) return;
      this.wording.value = "";
      this.own = [...this.own, other];
      this.ask();
    };
    this.wordings.append(
      el("h2", { text: "The same in other words" }),
      this.spread,
      el(
        "form",
        { on: { submit: add } },
        el("label", {
          class: "visually-hidden",
          text: "Another way to say it",
          attributes: { for: "wording" },
        }),
        this.wording,
        el("button", { text: "Add", attributes: { type: "submit" } }),
      ),
    );
  }

  open({ model, gallery }: Opened): void {
    this.withoutModel = model === null;
    this.input.disabled = this.withoutModel;
    this.element.classList.toggle("raw", this.withoutModel);
    this.renew(gallery);
    this.tryFirst(gallery);
  }

  /** The gallery or the model is another one: places are no longer what they were. */
  renew({ suggestions }: GalleryNews): void {
    this.right = [];
    this.isMeant = false;
    this.trying.hidden = suggestions.length === 0;
    refill(
      this.examples,
      ...suggestions.map(({ reference, text, right }) =>
        el(
          "button",
          {
            class: "example",
            attributes: { type: "button", "aria-label": `${reference.label}: ${text}` },
            on: { click: () => this.start({ kind: "place", place: reference.place }, text, right) },
          },
          picture(reference.sight, null),
          el("span", { text }),
        ),
      ),
    );
    if (this.reference) this.ask();
  }

  private tryFirst({ suggestions }: GalleryNews): void {
    const [first] = suggestions;
    if (first) this.start({ kind: "place", place: first.reference.place }, first.text, first.right);
  }

  private start(given: Given, text: string, right: number[]): void {
    this.input.value = this.withoutModel ? "" : text;
    this.nextRight = right;
    this.given.ask(given);
  }
  private nextRight: number[] = [];

  /** @param how the files came, where nothing among them is worth a word */
  private giveFiles(files: readonly PictureFile[], how?: "dropped" | "pasted"): void {
    const [first] = picturesAmong(files);
    this.nextRight = [];
    if (first) this.given.ask({ kind: "file", ...first });
    else if (files.length > 0) this.complain("picture", `${files[0]!.name} is no picture.`);
    else if (how) this.complain("picture", `What was ${how} is no picture.`);
  }

  /** Says what is wrong with the picture that was given, until another is, or with a question, until one is answered. */
  private complain(of: "picture" | "question", why: string): void {
    this.message.textContent = why;
    this.message.dataset.of = of;
  }

  private async take(given: Given): Promise<void> {
    try {
      const referred = await this.client.call("refer", given);
      this.reference = referred;
      this.right = this.nextRight;
      this.isMeant = false;
      this.own = [];
      this.message.textContent = "";
      this.notes.textContent = referred.notes.join(" ");
      fill(this.frame, picture(referred.sight, referred.label));
      this.caption.textContent = referred.label;
      fill(this.overlay);
      this.ask();
    } catch (error) {
      this.complain("picture", (error as Error).message);
    }
  }

  private ask(): void {
    if (!this.reference) return;
    const question = {
      reference: this.reference.key,
      text: this.input.value,
      right: this.right,
      wordings: this.own,
    };
    this.questions.ask(question);
  }

  private async answer(question: Question, isLast: () => boolean): Promise<void> {
    try {
      const found = await this.client.call("search", question);
      this.found = found;
      if (this.message.dataset.of === "question") this.message.textContent = "";
      this.notes.textContent = [...(this.reference?.notes ?? []), ...found.notes].join(" ");
      for (const { way } of columns)
        refill(this.lists.get(way)!, ...found.answers[way].map((one, i) => this.show(one, i)));
      this.status.textContent = `Answered in ${Math.max(1, Math.round(found.took))} ms`;
      this.element.dataset.text = question.text;
      this.showVerdict();
      this.showWordings();
      if (!isLast()) return;
      const looks = await this.client.call("look", question);
      if (isLast()) this.showLooks(looks);
    } catch (error) {
      this.complain("question", (error as Error).message);
    }
  }

  private show(answer: Answer, i: number): HTMLElement {
    const { place, label, name, sight, score } = answer;
    const isRight = this.right.includes(place);
    return el(
      "li",
      {},
      el(
        "button",
        {
          class: isRight ? "answer right" : "answer",
          attributes: {
            ...{ type: "button", title: `${label}, ${score.toFixed(3)}`, "data-name": name },
            "aria-label": `${i + 1}: ${label}${isRight ? ", a right answer" : ""}`,
            "aria-pressed": isRight,
          },
          on: { click: () => this.mean(place) },
        },
        picture(sight, null),
      ),
    );
  }

  private mean(place: number): void {
    this.right = [place];
    this.isMeant = true;
    this.ask();
  }

  private showVerdict(): void {
    const { found } = this;
    if (this.withoutModel) {
      fill(
        this.verdict,
        el("p", { text: "Nearest pictures by raw pixels: without WebGPU no model can read the text." }),
      );
      return;
    }
    if (!found?.ranks) {
      const text =
        "Click the picture that you meant: its rank in each column says which of the two would have been enough.";
      fill(this.verdict, el("h2", { text: "What does fusion add?" }), el("p", { text }));
      return;
    }
    const { ranks, labels } = found;
    const [place] = this.right;
    fill(
      this.verdict,
      el("h2", { text: "What does fusion add?" }),
      el(
        "p",
        { class: "labels" },
        ...labels.map((label) => el("span", { class: `label ${label}`, text: label })),
        el("span", { text: labels.map((label) => meanings[label]).join("; ") }),
      ),
      el(
        "dl",
        { class: "ranks" },
        ...columns.map(({ way, title }) =>
          el("div", {}, el("dt", { text: title }), el("dd", { text: `rank ${count(ranks[way])}` })),
        ),
      ),
      this.isMeant && place !== undefined
        ? button("Go on from this picture", () => {
            this.start({ kind: "place", place }, "", []);
            this.input.focus();
          })
        : null,
    );
  }

  private showWordings(): void {
    const { found } = this;
    this.wordings.hidden = !found?.ranks;
    if (!found?.ranks) return;
    const { paraphrases } = found;
    const best = Math.min(...(paraphrases?.texts.map(({ rank }) => rank) ?? [1]));
    fill(
      this.spread,
      paraphrases
        ? el("p", {
            text: `Ranks from ${count(paraphrases.spread.best)} to ${count(paraphrases.spread.worst)}, ${paraphrases.spread.factor.toFixed(1)} times as far.`,
          })
        : el("p", { class: "quiet", text: "Say it in another way and see how far the rank moves." }),
      paraphrases
        ? el(
            "ul",
            { class: "chips" },
            ...paraphrases.texts.map(({ text, rank }) =>
              el(
                "li",
                { class: rank === best ? "chip best" : "chip" },
                el("b", { text: `${count(rank)}` }),
                el("span", { text, attributes: { dir: "auto" } }),
              ),
            ),
          )
        : null,
    );
  }

  private showLooks(looks: readonly Look[]): void {
    fill(this.overlay);
    if (looks.length === 0) {
      fill(this.looks);
      return;
    }
    refill(
      this.looks,
      el("span", { class: "quiet", text: "Where each word looks:" }),
      ...looks.map(({ word, shares }) =>
        el("button", {
          class: "word",
          text: word,
          attributes: { type: "button", "aria-label": `${word}: looks most ${whereMost(shares)}` },
          on: {
            mouseenter: () => this.lay(shares),
            focus: () => this.lay(shares),
            click: () => this.lay(shares),
            mouseleave: () => fill(this.overlay),
            blur: () => fill(this.overlay),
          },
        }),
      ),
    );
  }

  /** Lays a word's map over the reference: the brighter, the larger its share. */
  private lay(shares: readonly number[]): void {
    const side = Math.round(Math.sqrt(shares.length));
    const most = Math.max(...shares);
    this.overlay.style.gridTemplateColumns = `repeat(${side}, 1fr)`;
    fill(
      this.overlay,
      ...shares.map((share) => {
        const cell = el("span", shares.length <= 16 ? { text: `${Math.round(share * 100)} %` } : {});
        cell.style.setProperty("--share", `${share / most}`);
        return cell;
      }),
    );
  }
}

/** Which part of a picture has the largest share, in words. */
function whereMost(shares: readonly number[]): string {
  const side = Math.round(Math.sqrt(shares.length));
  const at = shares.indexOf(Math.max(...shares));
  const third = (place: number, names: readonly string[]) =>
    names[Math.min(2, Math.floor(((place + 0.5) / side) * 3))]!;
  const row = third(Math.floor(at / side), ["top", "middle", "bottom"]);
  const column = third(at % side, ["left", "centre", "right"]);
  return `at the ${row} ${column}, ${Math.round(Math.max(...shares) * 100)} percent`;
}
