// How the numbers of the reports read.

/** A percentage with one decimal; small shares keep two digits, so that chance doesn't read as 0.0. */
export function percent(value: number): string {
  if (!Number.isFinite(value)) return "–";
  return value > 0 && value < 0.95 ? value.toPrecision(2) : value.toFixed(1);
}

/** A whole number with commas between thousands, as the axes have them. */
export function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}

/** "4.2 s", "42 s", "3 min 20 s" or "2 h 5 min". */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  return pair(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
}

function pair(large: number, unit: string, small: number, smallUnit: string): string {
  return small ? `${large} ${unit} ${small} ${smallUnit}` : `${large} ${unit}`;
}

/** A part of a whole, 0 to 1, as a percentage; null where it is not known. */
export function share(value: number | null): string {
  return value === null ? "–" : `${percent(100 * value)} %`;
}

/** A rate with two decimals; null where it is not known. */
export function rate(value: number | null): string {
  return value === null ? "–" : value.toFixed(2);
}

/** How a figure's key is written: rs1 is R_subset@1, map5 mAP@5. */
export function metricName(key: string): string {
  const [, word, k] = /^(rs|r|map)(\d+)$/.exec(key) ?? [];
  return word === undefined ? key : `${{ rs: "R_s", r: "R", map: "mAP" }[word]}@${k}`;
}
