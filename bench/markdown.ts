// What the sections of docs/performance.md are put together from.
import { isMet, type Target } from "./targets.ts";

/** Three digits; nothing for what was not measured. */
export const number = (value: number | null | undefined) =>
  value === null || value === undefined
    ? ""
    : value >= 1000
      ? Math.round(value).toLocaleString("en")
      : `${Number(value.toPrecision(3))}`;

/** A table whose first column is text and whose others are numbers. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const row = (texts: readonly string[]) => `| ${texts.join(" | ")} |`;
  return [row(heads), row(["---", ...heads.slice(1).map(() => "--:")]), ...rows.map(row)];
}

/** What is wanted, what was measured, and whether it is met. */
export function targetTable<R>(results: R, targets: readonly Target<R>[]): string[] {
  const line = (target: Target<R>) => {
    const value = target.value(results);
    if (value === null) return `| ${target.name} | ${target.goal} | not measured | |`;
    const apart = target.atMost ? value.at / target.limit : target.limit / value.at;
    const missed = Number.isFinite(apart) ? `missed by a factor of ${apart.toFixed(2)}` : "missed";
    const verdict = isMet(target, value.at) ? "met" : missed;
    return `| ${target.name} | ${target.goal} | ${number(value.at)}${value.where ? ` (${value.where})` : ""} | ${verdict} |`;
  };
  return ["| target | | measured | |", "|---|---|--:|---|", ...targets.map(line)];
}
