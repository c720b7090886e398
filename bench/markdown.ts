// What the sections of docs/performance.md are put together from.
import { isMet, type Target } from "./targets.ts";

/** Three digits; nothing for what was not measured. */
export const number = (value: number | null | undefined) =>
  value === null || value === undefined
    ? ""
    : value >= 1000
      ? Math.round(value).toLocaleString("en")
      : `${Number(value.toPrecision(3))}`;

type Side = "left" | "right";

/** A table with its columns under one another, as formatters write them; all but the first are numbers unless told. */
export function table(
  heads: readonly string[],
  rows: readonly (readonly string[])[],
  sides: readonly Side[] = heads.map((_, column) => (column === 0 ? "left" : "right")),
): string[] {
  const widths = heads.map((_, column) => Math.max(3, ...[heads, ...rows].map((row) => row[column]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const row = (texts: readonly string[]) =>
    line(
      texts.map((text, column) =>
        sides[column] === "left" ? text.padEnd(widths[column]!) : text.padStart(widths[column]!),
      ),
    );
  const rule = widths.map((width, column) =>
    sides[column] === "left" ? "-".repeat(width) : `${"-".repeat(width - 1)}:`,
  );
  return [row(heads), line(rule), ...rows.map(row)];
}

/** What is wanted, what was measured, and whether it is met. */
export function targetTable<R>(results: R, targets: readonly Target<R>[]): string[] {
  const cells = (target: Target<R>): string[] => {
    const value = target.value(results);
    if (value === null) return [target.name, target.goal, "not measured", ""];
    const apart = target.atMost ? value.at / target.limit : target.limit / value.at;
    const missed = Number.isFinite(apart) ? `missed by a factor of ${apart.toFixed(2)}` : "missed";
    const measured = `${number(value.at)}${value.where ? ` (${value.where})` : ""}`;
    return [target.name, target.goal, measured, isMet(target, value.at) ? "met" : missed];
  };
  return table(["target", "", "measured", ""], targets.map(cells), ["left", "left", "right", "left"]);
}
