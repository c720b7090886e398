// A loop that never ends would take the device along, and with it whatever else computes there. So an edited kernel first
// runs with a count of turns in every loop of its text: beyond a limit the loop is left, and its number goes to a tensor
// that the kernel is given besides. The counts are local variables and uniform where the loop is, so that barriers
// within stay allowed. A loop is left as its text leaves it: by a break, or where it has none, by returning zeros.

/** The binding that takes the number of a loop that was left, from 1 on; 0 says that none was. */
export const guardBinding = { name: "turnsGuard", type: "atomic<u32>", access: "read_write" } as const;

/** A text whose loops are counted, and the lines that they begin on. Lines stay what they are. */
export function guardLoops(text: string, turns: number): { text: string; lines: number[] } {
  const code = withoutComments(text);
  const lines: number[] = [];
  const inserts: { at: number; text: string }[] = [];
  for (const { index } of code.matchAll(/\b(?:for|while|loop)\b/g)) {
    const body = bodyAfter(code, index);
    if (body < 0) continue;
    const number = lines.push(code.slice(0, index).split("\n").length);
    const count = `turnsOf${number}`;
    // 0 or 1, which no compiler knows: one that did would play the turns by itself, for minutes.
    inserts.push({ at: index, text: `var ${count} = min(params.gridStart.x, 1u); ` });
    const way = onlyReturns(code, index, body) ? returnAt(code, index) : "break;";
    const leave = `atomicStore(&${guardBinding.name}[0], ${number}u); ${way}`;
    inserts.push({ at: body + 1, text: ` ${count}++; if (${count} > ${turns}u) { ${leave} }` });
  }
  inserts.sort((a, b) => b.at - a.at);
  let guarded = text;
  for (const { at, text } of inserts) guarded = guarded.slice(0, at) + text + guarded.slice(at);
  return { text: guarded, lines };
}

/** The text with blanks for its comments, those of blocks being nested. */
function withoutComments(text: string): string {
  let [code, depth, inLine] = ["", 0, false];
  for (let at = 0; at < text.length; at++) {
    const two = text.slice(at, at + 2);
    if (text[at] === "\n") inLine = false;
    else if (!inLine && two === "/*") depth++;
    else if (depth === 0 && two === "//") inLine = true;
    const blank = (depth > 0 || inLine) && text[at] !== "\n";
    code += blank ? " " : text[at];
    if (!inLine && depth > 0 && (two === "*/" || two === "/*")) {
      code += " ";
      at++;
      if (two === "*/") depth--;
    }
  }
  return code;
}

/** Where the body of a loop opens: at the first brace outside of parentheses; -1 where there is none. */
function bodyAfter(code: string, from: number): number {
  let depth = 0;
  for (let at = from; at < code.length; at++) {
    const character = code[at];
    if (character === "(") depth++;
    else if (character === ")") depth--;
    else if (character === "{" && depth === 0) return at;
  }
  return -1;
}

/** Where the block that opens there closes; the text's end where it does not. */
function closing(code: string, open: number): number {
  let depth = 0;
  for (let at = open; at < code.length; at++) {
    if (code[at] === "{") depth++;
    else if (code[at] === "}" && --depth === 0) return at;
  }
  return code.length;
}

/** Whether a loop has neither a condition nor a break of its own: what stands behind it is then never reached. */
function onlyReturns(code: string, from: number, body: number): boolean {
  const head = code.slice(from, body);
  if (head.startsWith("while")) return false;
  if (head.startsWith("for") && head.split(";")[1]?.trim() !== "") return false;
  let own = code.slice(body + 1, closing(code, body));
  // The breaks of what lies within are no breaks of this loop.
  for (let inner = nested.exec(own); inner; inner = nested.exec(own)) {
    const open = bodyAfter(own, inner.index);
    const end = open < 0 ? inner.index + inner[0].length : closing(own, open);
    own = own.slice(0, inner.index) + own.slice(end);
  }
  return !/\bbreak\b/.test(own);
}

const nested = /\b(?:for|while|loop|switch)\b/;

/** A return from the function around a place. */
function returnAt(code: string, index: number): string {
  const heads = [...code.slice(0, index).matchAll(/\bfn\s+\w+\s*\(/g)];
  const head = heads.at(-1);
  if (!head) return "break;";
  const open = bodyAfter(code, head.index);
  const [, type] = /->([\s\S]+)$/.exec(code.slice(head.index, open)) ?? [];
  return type === undefined ? "return;" : `return ${type.trim()}();`;
}
