// The form of a run's configuration, made of the fields that its schema has. What is left empty is left out, and then what the
// schema says counts, which stands there in grey.
import type { Field } from "../messages.ts";
import { el, fill } from "./dom.ts";

/** Those that most people want to change; the rest is folded away, by groups. */
const first = [
  "name",
  "training.steps",
  "training.learningRate",
  "training.pictures",
  "training.triplets",
  "seed",
];
const groups: readonly [title: string, has: RegExp][] = [
  ["Training", /^training\.(?!augment)/],
  ["Augmentation", /^training\.augment/],
  ["Model: pictures", /^model\.vision/],
  ["Model: texts", /^model\.text/],
  ["Model", /^model/],
  ["Data and precision", /./],
];

type Control = HTMLInputElement | HTMLSelectElement;

export class ConfigForm {
  readonly element = el("fieldset", { class: "fields" });
  private controls: { field: Field; control: Control }[] = [];
  private base: Record<string, unknown> = {};

  /** Makes the form. */
  open(fields: readonly Field[]): void {
    this.controls = [];
    const left = new Set(fields);
    const take = (has: (name: string) => boolean) => {
      const mine = [...left].filter(({ path }) => has(path.join(".")));
      for (const field of mine) left.delete(field);
      return mine;
    };
    const visible = first.flatMap((wanted) => take((name) => name === wanted));
    const folded = groups.map(([title, has]) => [title, take((name) => has.test(name))] as const);
    fill(
      this.element,
      el("legend", { class: "visually-hidden", text: "Configuration" }),
      el("div", { class: "grid" }, ...visible.map((field) => this.row(field, 1))),
      ...folded.map(([title, mine]) =>
        el(
          "details",
          {},
          el("summary", { text: title }),
          el("div", { class: "grid" }, ...mine.map((field) => this.row(field, depthOf(title)))),
        ),
      ),
    );
  }

  /** @param depth how much of the path the group's title says already */
  private row(field: Field, depth: number): HTMLElement {
    const { path, kind, options, usual, about } = field;
    const id = `train-${path.join("-")}`;
    const help = about ? `${id}-about` : null;
    const attributes = { id, "aria-describedby": help };
    const said = usual === undefined ? "" : spell(usual);
    const control: Control =
      kind === "choice"
        ? el(
            "select",
            { attributes },
            el("option", { text: said === "" ? "not told" : `usually ${said}`, attributes: { value: "" } }),
            ...options!.map((text) => el("option", { text, attributes: { value: text } })),
          )
        : el("input", {
            attributes: {
              ...attributes,
              type: "text",
              autocomplete: "off",
              spellcheck: "false",
              placeholder: said,
              inputmode: kind === "whole" ? "numeric" : kind === "number" ? "decimal" : null,
            },
          });
    this.controls.push({ field, control });
    const words = path.slice(Math.min(depth, path.length - 1)).map(wordsOf);
    return el(
      "div",
      { class: "field" },
      el("label", { text: words.join(": "), attributes: { for: id } }),
      control,
      about ? el("p", { class: "about", text: about, attributes: { id: help } }) : null,
    );
  }

  /** Fills the form with a configuration. */
  set(config: Record<string, unknown>): void {
    this.base = config;
    for (const { field, control } of this.controls) {
      const value = at(config, field.path);
      control.value = value === undefined ? "" : spell(value);
    }
  }

  /** What is filled in; what can't be read stays a text, of which the schema says what is wrong. */
  get(): Record<string, unknown> {
    const config = structuredClone(this.base);
    for (const { field, control } of this.controls) {
      const text = control.value.trim();
      const parent = at(config, field.path.slice(0, -1), true) as Record<string, unknown>;
      const key = field.path.at(-1)!;
      if (text === "") delete parent[key];
      else parent[key] = read(field, text);
    }
    return config;
  }
}

/** What the title of a group says of the paths in it. */
const depthOf = (title: string) => (/^(Augmentation|Model: )/.test(title) ? 2 : 1);

const wordsOf = (key: string) => key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

const spell = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

function read({ kind, options }: Field, text: string): unknown {
  if (kind === "text") return text;
  if (kind === "choice" && options![0] !== "true") return text;
  try {
    // "1e-3", and "+5" as well.
    return kind === "whole" || kind === "number" ? numberOf(text) : JSON.parse(text);
  } catch {
    return text;
  }
}

function numberOf(text: string): number {
  const value = Number(text);
  if (Number.isNaN(value)) throw new Error("no number");
  return value;
}

/** What lies at a path; groups on the way are made where they are missing, if that is wanted. */
function at(config: unknown, path: readonly string[], make = false): unknown {
  let here = config;
  for (const key of path) {
    if (typeof here !== "object" || here === null) return undefined;
    const inner = here as Record<string, unknown>;
    if (make) inner[key] ??= {};
    here = inner[key];
  }
  return here;
}
