// Which cases a text asks for: the bench's --filter and the Kernels tab's field.

/**
 * The names that `filter` asks for, in capitals or not: those that contain it as it stands, as names have commas too, or
 * else those that contain one of its parts between commas. An empty one asks for all.
 */
export function namesAsked(names: readonly string[], filter: string): Set<string> {
  const withOne = (texts: readonly string[]) =>
    names.filter((name) => texts.some((text) => name.toLowerCase().includes(text)));
  const whole = filter.trim().toLowerCase();
  const found = withOne([whole]);
  const parts = whole.split(",").flatMap((part) => part.trim() || []);
  return new Set(found.length > 0 ? found : withOne(parts));
}
