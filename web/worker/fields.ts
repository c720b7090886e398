// The fields of a run's configuration for a form: from the schema, with what the comments beside its fields say of them.
import { z } from "zod";
import modelText from "../../model/config.ts?raw";
import { configSchema } from "../../train/config.ts";
import trainText from "../../train/config.ts?raw";
import type { Field } from "../messages.ts";

/** A node of JSON Schema, as far as the configuration's has it. */
interface Node {
  type?: string;
  properties?: Record<string, Node>;
  oneOf?: Node[];
  enum?: string[];
  const?: unknown;
  default?: unknown;
}

/** What is not the visitor's to choose: the page has one data set, whose pictures are of one size, and no disk for tokens. */
const fixed =
  /^(data\.kind|before|sources|model\.vision\.(imageSize|fit|zoom|filter)|training\.(epochs|cacheTokens))$/;

export function fieldsOf(): Field[] {
  const schema = z.toJSONSchema(configSchema, { io: "input", unrepresentable: "any" }) as Node;
  const abouts = new Map([...aboutsIn(modelText), ...aboutsIn(trainText)]);
  const found: Field[] = [];
  const walk = (node: Node, path: string[]) => {
    const { type, properties, oneOf, enum: options, default: usual } = node;
    const name = path.join(".");
    if (fixed.test(name)) return;
    // Of several data sets it is the page's.
    const inner = oneOf ? oneOf.find((one) => one.properties?.kind?.const === "emoji") : node;
    if (inner?.properties && !(type === "object" && properties && usual === undefined && isOptional(name))) {
      for (const [key, child] of Object.entries(inner.properties)) walk(child, [...path, key]);
      return;
    }
    const field = { path, usual, about: abouts.get(name) ?? "" };
    if (options) found.push({ ...field, kind: "choice", options });
    else if (type === "boolean") found.push({ ...field, kind: "choice", options: ["true", "false"] });
    else if (type === "integer") found.push({ ...field, kind: "whole" });
    else if (type === "number") found.push({ ...field, kind: "number" });
    else if (type === "string") found.push({ ...field, kind: "text" });
    else found.push({ ...field, kind: "json" });
  };
  walk(schema, []);
  return found;
}

/** Groups that are there as a whole or not at all. */
const isOptional = (name: string) => name === "training.augment.crop" || name === "training.validate";

/** Where in the configuration the fields of a schema lie. */
const roots: Record<string, string> = {
  configSchema: "",
  dataSchema: "data",
  trainingSchema: "training",
  modelSchema: "model",
  visionSchema: "model.vision",
  textSchema: "model.text",
};

/** The comment before each field of the schemas in a source text, which is formatted as this repository's are. */
function aboutsIn(text: string): [path: string, about: string][] {
  const found: [string, string][] = [];
  let open: { indent: number; path: string[] }[] = [];
  let comment = "";
  let isInside = false;
  for (const line of text.split("\n")) {
    const [, root] = /^(?:export )?const (\w+) =/.exec(line) ?? [];
    if (root !== undefined) {
      const path = roots[root];
      open = path === undefined ? [] : [{ indent: 0, path: path === "" ? [] : path.split(".") }];
    }
    const [, opening] = /^\s*\/\*\*\s?(.*)$/.exec(line) ?? [];
    if (opening !== undefined) comment = "";
    if (opening !== undefined || isInside) {
      const words = (opening ?? line).replace(/\*\/\s*$/, "").replace(/^\s*\*\s?/, "");
      comment = `${comment} ${words}`.trim();
      isInside = !line.includes("*/");
      continue;
    }
    const [, indent, key] = /^(\s+)(\w+)(?:: |,$)/.exec(line) ?? [];
    if (key === undefined || open.length === 0) continue;
    while (open.length > 1 && open.at(-1)!.indent >= indent!.length) open.pop();
    const path = [...open.at(-1)!.path, key];
    open.push({ indent: indent!.length, path });
    if (comment) found.push([path.join("."), comment.replaceAll("`", "")]);
    comment = "";
  }
  return found;
}
