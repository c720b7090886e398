// Captions as a model reads them. How two captions become one text, and whether a concept goes with a caption, moves the
// figures, so the way has a name, which is printed with them.
import type { Query } from "./types.ts";

/**
 * How a query's captions become one text.
 * - `as written`: the caption; two joined by " and ".
 * - `clip4cir`: two joined by " and ", each without ".?, " at its ends, the first letter large and the rest of the first
 *   caption small, as CLIP4Cir does (Baldrati et al.).
 * - `lower case`: joined by " and ", in small letters, as others do.
 * - `with concept`: CIRCO's shared concept before the caption, in the words that its annotators completed.
 */
export const captionWays = ["as written", "clip4cir", "lower case", "with concept"] as const;
/** One of them. */
export type CaptionWay = (typeof captionWays)[number];

const bare = (text: string) => text.replace(/^[.?, ]+|[.?, ]+$/g, "");
const capitalized = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase();

/** The text of a query. */
export function textOf({ texts, concept }: Query, way: CaptionWay): string {
  if (way === "clip4cir")
    return texts.map((text, i) => (i === 0 ? capitalized(bare(text)) : bare(text))).join(" and ");
  const joined = texts.join(" and ");
  if (way === "lower case") return joined.toLowerCase();
  return way === "with concept" && concept !== undefined ? `a photo of ${concept} that ${joined}` : joined;
}
