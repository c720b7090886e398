// Captured programs in any order that keeps what waits for what: their results have to be the same.
import type { Program } from "../engine/index.ts";

/** The commands of a program and, of each, those that it waits for. */
const known = new WeakMap<Program<unknown>, { commands: unknown[]; needs: Set<number>[] }>();

function commandsOf(program: Program<unknown>): unknown[] {
  return (program as unknown as { commands: unknown[] }).commands;
}

/** The waits of a program by command, as they were before it was shuffled. */
export function needsOf(program: Program<unknown>): Set<number>[] {
  const found = known.get(program) ?? {
    commands: [...commandsOf(program)],
    needs: program.waits().replay.map(({ results, places }) => new Set([...results, ...places])),
  };
  known.set(program, found);
  return found.needs;
}

/** Brings a program's commands into another order, drawn by `below`, in which each comes after those that it waits for. */
export function shuffle(
  program: Program<unknown>,
  below: (count: number) => number,
  needs: readonly ReadonlySet<number>[] = needsOf(program),
): void {
  needsOf(program);
  const { commands } = known.get(program)!;
  const left = new Set(commands.keys());
  const order: number[] = [];
  while (left.size > 0) {
    const ready = [...left].filter((i) => [...needs[i]!].every((other) => !left.has(other)));
    const next = ready[below(ready.length)]!;
    left.delete(next);
    order.push(next);
  }
  commandsOf(program).splice(0, commands.length, ...order.map((i) => commands[i]));
}
