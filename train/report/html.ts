// HTML that cannot be injected into: every value put into a template is escaped unless it is markup already.

/** Text that is HTML, so that it is not escaped again. */
export class Markup {
  constructor(readonly text: string) {}
}

type Value = Markup | string | number | Value[];

const ENTITIES: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function show(value: Value): string {
  if (Array.isArray(value)) return value.map(show).join("");
  if (value instanceof Markup) return value.text;
  // HTML has no way to write control characters, so they become the replacement character.
  return String(value).replace(/[&<>"']|(?![\t\n\r])\p{Cc}/gu, (c) => ENTITIES[c] ?? "\ufffd");
}

/** Template tag. Values are escaped for text and quoted attributes; markup and lists of it pass through. */
export function html(strings: TemplateStringsArray, ...values: Value[]): Markup {
  return new Markup(strings.map((part, i) => part + (i < values.length ? show(values[i]) : "")).join(""));
}

/** Vouches for a text that is HTML, SVG or CSS made by this program. */
export function raw(text: string): Markup {
  return new Markup(text);
}
