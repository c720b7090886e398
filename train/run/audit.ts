// An audit's folder: the figures, every query with its ranks and labels, the redundant ones as a list that `score` takes,
// and the pairs with several texts. The folder may be a run's: no name here is one of a run's files.
import { join } from "node:path";
import { textOf } from "../data/captions.ts";
import type { Split } from "../data/types.ts";
import { type Audit, labelsOf } from "../eval/audit.ts";
import { writeAtomically } from "./checkpoint.ts";

/** What an audit's folder holds, by role. */
export const auditFiles = {
  figures: "audit.json",
  queries: "queries.jsonl",
  redundant: "redundant.jsonl",
  paraphrases: "paraphrases.jsonl",
};

/** The audit without what has a line a query. */
export function auditSummary({ queries, paraphrases, ...summary }: Audit) {
  return summary;
}

const lines = (values: readonly unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");

/** Writes an audit's files. Returns their paths. */
export async function writeAudit(out: string, split: Split, found: Audit): Promise<string[]> {
  const { data, k } = found;
  const pictureOf = (picture: number) => split.pictures[picture]!.id;
  const all = found.queries.map(({ query, ranks }) => {
    const { id, reference, right } = split.queries[query]!;
    const text = textOf(split.queries[query]!, "as written");
    const pictures = { reference: pictureOf(reference), target: pictureOf(right[0]!) };
    return { data, split: split.name, id, ...pictures, text, ranks, labels: labelsOf(ranks, k) };
  });
  const contents = {
    [auditFiles.figures]: `${JSON.stringify(auditSummary(found))}\n`,
    [auditFiles.queries]: lines(all),
    [auditFiles.redundant]: lines(all.filter(({ labels }) => labels.includes("shortcut-solvable"))),
    [auditFiles.paraphrases]: lines(found.paraphrases),
  };
  for (const [name, content] of Object.entries(contents)) await writeAtomically(join(out, name), content);
  return Object.keys(contents).map((name) => join(out, name));
}
