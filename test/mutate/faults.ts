// Where a one-token fault can be put into a source, and what it makes of it. WGSL is read token by token, as nothing here
// parses it whole; TypeScript through Vite's parser, so that types, imports and the words of errors stay as they are. WGSL
// that stands in a template of TypeScript counts as WGSL.
import { parseSync } from "vite";

/** A change of source[start..end) to `text`. */
export interface Fault {
  start: number;
  end: number;
  text: string;
  /** What it is a fault of. */
  kind: "operator" | "constant" | "index" | "guard" | "barrier" | "statement" | "name";
  /** A fault in WGSL may not compile, which nobody has to find. */
  wgsl: boolean;
}

/** The faults of one place; each of them takes the same token's place. */
export type Place = Fault[];

/** What an operator may be mistaken for; the same in both languages. */
const operators: Record<string, string[]> = {
  ...{ "+": ["-"], "-": ["+"], "*": ["+", "/"], "/": ["*"], "%": ["/"], "**": ["*"] },
  ...{ "<": ["<=", ">="], "<=": ["<"], ">": [">=", "<="], ">=": [">"] },
  ...{ "==": ["!="], "!=": ["=="], "===": ["!=="], "!==": ["==="] },
  ...{ "&&": ["||"], "||": ["&&"], "??": ["&&"], "<<": [">>"], ">>": ["<<"], ">>>": ["<<"] },
  ...{ "&": ["|"], "|": ["&"], "^": ["|"], "+=": ["-="], "-=": ["+="], "*=": ["/="], "/=": ["*="] },
  ...{ "|=": ["&="], "&=": ["|="], "++": ["--"], "--": ["++"], "??=": ["="], "<<=": [">>="], ">>=": ["<<="] },
};

/**
 * A number and its neighbours; 0.0 and 1.0 for each other, other fractions a quarter larger or none, and bits without
 * their highest.
 */
function otherNumbers(literal: string): string[] {
  if (/^0x/i.test(literal)) {
    const value = Number.parseInt(literal, 16);
    const other = value === 0 ? 1 : value - 2 ** Math.floor(Math.log2(value));
    return [`0x${other.toString(16)}${/u$/.test(literal) ? "u" : ""}`];
  }
  const [, digits = "", suffix = ""] = /^(.*?)([uifhn]?)$/.exec(literal)!;
  const value = Number(digits);
  if (/[.e]/i.test(digits) || /[fh]/.test(suffix)) {
    const write = (other: number) => `${Number.isInteger(other) ? other.toFixed(1) : other}${suffix}`;
    return value === 0 ? [write(1)] : value === 1 ? [write(0)] : [write(1.25 * value), write(0)];
  }
  return value === 0 ? [`1${suffix}`] : [`${value + 1}${suffix}`, `${value - 1}${suffix}`];
}

/** The places of a source by its name. */
export function placesOf(file: string, source: string): Place[] {
  return file.endsWith(".wgsl") ? wgslPlaces(source) : typescriptPlaces(file, source);
}

const wgslToken =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|@\w+|0x[\da-fA-F]+u?|(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?[fhui]?|\w+|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||->|\+\+|--|[-+*/%&|^]=|[-+*/%<>=!&|^~(){}[\];,.:?]/g;

interface Token {
  text: string;
  start: number;
  end: number;
}

/** The tokens of WGSL without comments and without the parameters of types, `<u32>` of `vec4<u32>`. */
function wgslTokens(source: string): Token[] {
  const tokens: Token[] = [];
  let depth = 0;
  for (const match of source.matchAll(wgslToken)) {
    const [text] = match;
    const start = match.index;
    if (/^\/[/*]/.test(text)) continue;
    const before = tokens.at(-1);
    // The house writes comparisons with a space on either side.
    if (text === "<" && before && /^[a-zA-Z]/.test(before.text) && before.end === start) depth++;
    else if (depth > 0 && /^>+$/.test(text)) depth = Math.max(0, depth - text.length);
    else if (depth === 0) tokens.push({ text, start, end: start + text.length });
    else if (text === "<") depth++;
  }
  return tokens;
}

function wgslPlaces(source: string, offset = 0): Place[] {
  const tokens = wgslTokens(source);
  const fields = [
    ...new Set(tokens.flatMap(({ text }, i) => (isField(tokens, i, "params") ? [text] : []))),
  ].sort();
  const places: Place[] = [];
  const put = (kind: Fault["kind"], first: Token, last: Token, texts: string[]) => {
    const span = { start: offset + first.start, end: offset + last.end, wgsl: true };
    if (texts.length > 0) places.push(texts.map((text) => ({ ...span, text, kind })));
  };
  tokens.forEach((token, i) => {
    const { text } = token;
    const before = tokens[i - 1];
    const unary = !before || /^([-+*/%<>=!&|^~({[,;:]|.*=|&&|\|\||return|case)$/.test(before.text);
    if (operators[text] && !unary) put("operator", token, token, operators[text]);
    else if ((text === "-" || text === "!") && unary) put("operator", token, token, [""]);
    else if (/^\d/.test(text)) put("constant", token, token, otherNumbers(text));
    else if (text === "true" || text === "false") put("constant", token, token, [`${text === "false"}`]);
    else if (text === "min" || text === "max") put("name", token, token, [text === "min" ? "max" : "min"]);
    else if (/^[xyzw]$/.test(text) && before?.text === ".")
      put("index", token, token, [{ x: "y", y: "x", z: "y", w: "z" }[text]!]);
    else if (isField(tokens, i, "params") && fields.length > 1) {
      const at = fields.indexOf(text);
      put("name", token, token, [fields[(at + 1) % fields.length]!]);
    } else if (text === "]" && before?.text !== "[") put("index", token, token, [" + 1u]"]);
    else if (text === "if" || text === "while") {
      const open = tokens[i + 1]!;
      const close = tokens[closing(tokens, i + 1)]!;
      if (open.text === "(") put("guard", open, close, text === "if" ? ["(true)", "(false)"] : ["(false)"]);
    } else if (text === "workgroupBarrier") put("barrier", token, tokens[i + 3]!, [""]);
  });
  return places;
}

function isField(tokens: Token[], i: number, of: string): boolean {
  return tokens[i - 1]?.text === "." && tokens[i - 2]?.text === of;
}

/** Where the bracket that opens at `at` is closed. */
function closing(tokens: Token[], at: number): number {
  let depth = 0;
  for (let i = at; i < tokens.length; i++) {
    if (tokens[i]!.text === "(") depth++;
    if (tokens[i]!.text === ")" && --depth === 0) return i;
  }
  return tokens.length - 1;
}

/** A node of the syntax tree, as ESTree has it. */
export interface Node {
  type: string;
  start: number;
  end: number;
  [key: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && typeof (value as Node).type === "string";

/** The children of a node, in their order. */
export function childrenOf(node: Node): Node[] {
  return Object.values(node).flatMap((value) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  );
}

/** The syntax tree of a TypeScript source. */
export function parse(file: string, source: string): Node {
  const { program, errors } = parseSync(file, source);
  if (errors.length > 0) throw new SyntaxError(`${file}: ${errors[0]!.message}`);
  return program as unknown as Node;
}

function typescriptPlaces(file: string, source: string): Place[] {
  const places: Place[] = [];
  const put = (kind: Fault["kind"], start: number, end: number, texts: string[]) => {
    if (texts.length > 0) places.push(texts.map((text) => ({ start, end, text, kind, wgsl: false })));
  };
  /** The operator between two operands. */
  const between = (left: Node, right: Node, operator: string) => {
    const start = source.indexOf(operator, left.end);
    if (start >= 0 && start < right.start)
      put("operator", start, start + operator.length, operators[operator] ?? []);
  };
  const walk = (node: Node) => {
    if (isSilent(node)) return;
    const part = (name: string) => node[name] as Node;
    switch (node.type) {
      case "BinaryExpression":
      case "LogicalExpression":
      case "AssignmentExpression":
        between(part("left"), part("right"), node.operator as string);
        break;
      case "UpdateExpression": {
        const operator = node.operator as string;
        const start = node.prefix ? node.start : node.end - operator.length;
        put("operator", start, start + operator.length, operators[operator]!);
        break;
      }
      case "UnaryExpression":
        if (node.operator === "!" || node.operator === "-") put("operator", node.start, node.start + 1, [""]);
        break;
      case "Literal": {
        const raw = source.slice(node.start, node.end);
        if (typeof node.value === "number") put("constant", node.start, node.end, otherNumbers(raw));
        if (typeof node.value === "boolean") put("constant", node.start, node.end, [`${!node.value}`]);
        break;
      }
      case "IfStatement":
      case "ConditionalExpression":
        put("guard", part("test").start, part("test").end, ["true", "false"]);
        break;
      case "ExpressionStatement":
        if (part("expression").type !== "Literal") put("statement", node.start, node.end, [";"]);
        break;
      case "MemberExpression":
        if (node.computed && part("property").type !== "Literal")
          put("index", part("property").end, part("property").end, [" + 1"]);
        else if (part("object").name === "Math") {
          const name = part("property");
          const other = { min: "max", max: "min", ceil: "floor", floor: "ceil" }[name.name as string];
          if (other) put("name", name.start, name.end, [other]);
        }
        break;
      case "TemplateElement": {
        const text = source.slice(node.start, node.end);
        if (/\b(fn|return|let|var|const) /.test(text) && /[;{]/.test(text))
          places.push(...wgslPlaces(text, node.start));
        break;
      }
    }
    childrenOf(node).forEach(walk);
  };
  walk(parse(file, source));
  return places.sort((a, b) => a[0]!.start - b[0]!.start);
}

/** Whether a node says nothing that runs, or only what an error says. */
function isSilent({ type, ...node }: Node): boolean {
  if (type === "TSNonNullExpression" || type === "TSAsExpression" || type === "TSSatisfiesExpression")
    return false;
  if (type.startsWith("TS") || type === "ImportDeclaration" || type === "ThrowStatement") return true;
  return type === "NewExpression" && /Error$/.test(`${(node.callee as Node).name}`);
}

/** A source with a fault in it. */
export function withFault(source: string, { start, end, text }: Fault): string {
  return source.slice(0, start) + text + source.slice(end);
}

/** The line of a place in a source, from 1. */
export function lineOf(source: string, at: number): number {
  return source.slice(0, at).split("\n").length;
}
