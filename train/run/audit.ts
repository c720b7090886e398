// An audit's folder: the figures, every query with its ranks and labels, the redundant ones as a list that `score` and `eval`
// take, the pairs with several texts, and a page. The folder may be a run's: no name here is one of a run's files.
import { join } from "node:path";
import type { Engine } from "../../engine/index.ts";
import { textOf } from "../data/captions.ts";
import { decodeSquare } from "../data/decode.ts";
import { inMemory } from "../data/memory.ts";
import type { Pictures, Split } from "../data/types.ts";
import { type Audit, type Example, examples, labelsOf, type Way, ways } from "../eval/audit.ts";
import type { Embedded } from "../eval/protocols.ts";
import { removeEmpty } from "../make-folder.ts";
import { writeAtomically } from "./disk.ts";
import { makeLocked } from "./lock.ts";

/** What an audit's folder holds, by role. */
export const auditFiles = {
  report: "audit.html",
  figures: "audit.json",
  queries: "queries.jsonl",
  redundant: "redundant.jsonl",
  paraphrases: "paraphrases.jsonl",
};

/** The audit without what has a line a query. */
export function auditSummary({ queries, paraphrases, ...summary }: Audit) {
  return summary;
}

/**
 * Makes an audit's folder and does something while no other process writes there; one that stays empty goes again. Throws
 * ConfigError where another process has it.
 */
export async function inAuditFolder<T>(
  out: string,
  warn: (message: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  const { made, unlock } = await makeLocked(out, out, warn);
  try {
    return await work();
  } finally {
    await unlock(out);
    await removeEmpty(made);
  }
}

const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");

/** What an audit was made of, and its pictures: of a folder's files, or of a data set that is open. */
export interface AuditParts {
  split: Split;
  embedded: Record<Way, Embedded>;
  pictures: { root: string } | Pictures;
  /** The protocol in words. */
  what: string;
}

/** Writes an audit's files, the page among them. Returns their paths. */
export async function writeAudit(
  engine: Engine,
  out: string,
  found: Audit,
  { split, embedded, pictures, what }: AuditParts,
): Promise<string[]> {
  const { data, k } = found;
  const pictureOf = (picture: number) => split.pictures[picture]!.id;
  const all = found.queries.map(({ query, ranks }) => {
    const { id, reference, right } = split.queries[query]!;
    const text = textOf(split.queries[query]!, "as written");
    const pictures = { reference: pictureOf(reference), target: pictureOf(right[0]!) };
    return { data, split: split.name, id, ...pictures, text, ranks, labels: labelsOf(ranks, k) };
  });
  const shown = await examples(engine, split, embedded, found);
  // What draws it takes time to load, and may not be there.
  const { auditPage } = await import("../report/audit.ts");
  const page = await auditPage({
    ...{ found, split, what, notes: split.notes, examples: shown },
    ...("root" in pictures
      ? await smallPictures(pictures.root, split, shown)
      : { pictures, missing: new Set<number>() }),
  });
  const contents = {
    [auditFiles.figures]: `${JSON.stringify(auditSummary(found))}\n`,
    [auditFiles.queries]: lines(all),
    [auditFiles.redundant]: lines(all.filter(({ labels }) => labels.includes("shortcut-solvable"))),
    [auditFiles.paraphrases]: lines(found.paraphrases),
    [auditFiles.report]: page,
  };
  for (const [name, content] of Object.entries(contents)) await writeAtomically(join(out, name), content);
  return Object.keys(contents).map((name) => join(out, name));
}

/** Side of the page's pictures in pixels. */
const side = 64;

/** The pictures of examples, from their files; those that can't be decoded are missing. */
async function smallPictures(
  root: string,
  split: Split,
  shown: readonly Example[],
): Promise<{ pictures: Pictures; missing: ReadonlySet<number> }> {
  const ids = new Set<number>();
  for (const { query, answers } of shown) {
    const { reference, right } = split.queries[query]!;
    for (const id of [reference, right[0]!]) ids.add(id);
    for (const way of ways) for (const { picture } of answers[way]) ids.add(picture);
  }
  const missing = new Set<number>();
  const places = new Map<number, number>();
  const parts: Uint8Array[] = [];
  for (const id of ids) {
    const pixels = await decodeSquare(join(root, split.pictures[id]!.path), side).catch(() => null);
    if (pixels) places.set(id, parts.push(pixels) - 1);
    else missing.add(id);
  }
  const names = [...places.keys()].map((id) => split.pictures[id]!.id);
  const small = inMemory({ size: side, names, pixels: new Uint8Array(Buffer.concat(parts)) });
  const read = (wanted: ArrayLike<number>) => small.read(Array.from(wanted, (id) => places.get(id)!));
  return { pictures: { ...small, read }, missing };
}
