// Shortens a program that fails: leaves statements out, or puts a function's body in its place, as long as it still
// fails. What no longer makes sense without a statement goes with it.
import { Model, Refused } from "./model.ts";
import { bodyOf, type Statement } from "./statements.ts";

/** The statements that the model takes, in order; those with a body that it refuses lose what it refuses there. */
export function prune(program: readonly Statement[]): Statement[] {
  const model = new Model();
  return program.flatMap((statement) => {
    for (let left: Statement | null = statement; left; left = withoutLast(left)) {
      const restore = model.snapshot();
      try {
        model.perform(left);
        return [left];
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        restore();
      }
    }
    return [];
  });
}

/** The statement with a shorter body; null where there is nothing left to leave out. */
function withoutLast(statement: Statement): Statement | null {
  const body = bodyOf(statement);
  if (!body || body.length === 0) return null;
  return {
    ...statement,
    body: body.slice(0, -1),
    ...("returns" in statement ? { returns: [] } : {}),
  } as Statement;
}

/** All programs that are one step shorter, those that lose most first. */
function* shorter(program: readonly Statement[]): Generator<Statement[]> {
  for (let width = program.length >> 1; width >= 1; width >>= 1) {
    for (let at = program.length - width; at >= 0; at -= width)
      yield [...program.slice(0, at), ...program.slice(at + width)];
  }
  for (let at = program.length - 1; at >= 0; at--) {
    const statement = program[at]!;
    const around = (inner: Statement[]) => [...program.slice(0, at), ...inner, ...program.slice(at + 1)];
    const body = bodyOf(statement);
    if (!body) continue;
    if (statement.do === "scope" || statement.do === "checkpoint") yield around(body);
    for (const inner of shorter(body)) yield around([{ ...statement, body: inner } as Statement]);
    if ("returns" in statement) {
      for (const left of statement.returns)
        yield around([
          { ...statement, returns: statement.returns.filter((name) => name !== left) } as Statement,
        ]);
    }
    if (statement.do === "capture" && statement.inputs.length > 0)
      yield around([{ ...statement, inputs: [] }]);
  }
}

/** The shortest program found that still fails, within so many tries. */
export async function shrink(
  program: readonly Statement[],
  fails: (program: readonly Statement[]) => Promise<boolean>,
  tries = 400,
): Promise<Statement[]> {
  let best = prune(program);
  const seen = new Set<string>();
  for (let again = true; again; ) {
    again = false;
    for (const candidate of shorter(best)) {
      const valid = prune(candidate);
      const text = JSON.stringify(valid);
      if (text.length >= JSON.stringify(best).length || seen.has(text)) continue;
      seen.add(text);
      if (tries-- <= 0) return best;
      if (!(await fails(valid))) continue;
      best = valid;
      again = true;
      break;
    }
  }
  return best;
}
