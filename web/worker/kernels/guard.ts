// A loop that never ends would take the device along, and with it whatever else computes there. So an edited kernel first
// runs with a count of turns in every loop of its text: beyond a limit the loop is left, and its number goes to a tensor
// that the kernel is given besides. The counts are local variables and uniform where the loop is, so that barriers
// within stay allowed.

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
    const leave = `atomicStore(&${guardBinding.name}[0], ${number}u); break;`;
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
