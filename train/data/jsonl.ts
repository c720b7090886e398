// Data sets of people's own: triplets.jsonl, or any other *.jsonl files, with {reference, text, target, id?, split?} a line
// and the pictures' paths relative to the folder. The gallery is every picture that is in the folder, or should be.
import { z } from "zod";
import { endings, isPicture, notesOn, pictureFiles } from "./folder.ts";
import { checked, parseJson, readText } from "./json.ts";
import { Ids, joined, PictureIndex } from "./pictures.ts";
import { DataError, type Files, type Query, type Split } from "./types.ts";

const line = z.object({
  reference: z.string().min(1),
  text: z.string(),
  target: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]),
  id: z.union([z.string(), z.int()]).optional(),
  split: z.string().min(1).optional(),
});
type Line = z.infer<typeof line> & { where: string };

/** Lines of the folder's files. A line without a split is of `train.jsonl`'s train, and of val in a file of another name. */
async function readLines(
  files: Files,
): Promise<{ lines: Line[]; sources: { file: string; entries: number }[] }> {
  const names = (await files.list("")).filter((name) => name.endsWith(".jsonl")).toSorted();
  if (names.length === 0) throw new DataError(`${files.name} holds no .jsonl file`);
  const lines: Line[] = [];
  const sources: { file: string; entries: number }[] = [];
  for (const file of names) {
    const before = lines.length;
    for (const [i, text] of (await readText(files, file)).split(/\r?\n/).entries()) {
      const where = `${file}, line ${i + 1}`;
      if (text.trim() === "") continue;
      const one = checked(where, line, parseJson(where, text));
      lines.push({ ...one, split: one.split ?? file.replace(/\.jsonl$/, ""), where });
    }
    sources.push({ file, entries: lines.length - before });
  }
  return { lines, sources };
}

/** Names of the splits that lines name; a line without one is of its file's name. */
export async function jsonlHas(files: Files): Promise<string[]> {
  return [...new Set((await readLines(files)).lines.map(({ split }) => split!))];
}

/** Reads a split. Throws DataError for a path that is no picture's, and an id given twice. */
export async function readJsonl(files: Files, split: string): Promise<Split> {
  const { lines, sources } = await readLines(files);
  const own = lines.filter((one) => one.split === split);
  if (own.length === 0) throw new DataError(`${files.name}: no line is of split ${JSON.stringify(split)}`);
  const index = new PictureIndex();
  const others: string[] = [];
  for (const path of await pictureFiles(files, others)) index.add(path, path);
  const [ids, triplets] = [new Ids(), new Ids()];
  const queries = own.map(({ where, reference, text, target, id }, i): Query => {
    // One that is not in the folder is missing, as it is from a list of pictures that another data set has.
    const find = (path: string) => {
      const shown = `${where}: ${JSON.stringify(path)}`;
      if (!isPicture(path)) throw new DataError(`${shown} is no picture's name; read are ${endings}`);
      if (/^([\\/]|[a-z]:)/i.test(path))
        throw new DataError(`${shown} is not relative to the folder, as paths must be`);
      if (/(^|[\\/])\.\.([\\/]|$)/.test(path)) throw new DataError(`${shown} leads out of the folder`);
      return index.add(joined(path), joined(path));
    };
    const targets = [target].flat();
    const right = targets.map(find);
    const from = find(reference);
    triplets.add(
      JSON.stringify([joined(reference), text, ...targets.map((path) => joined(path))]),
      where,
      "the triplet",
    );
    if (right.includes(from)) throw new DataError(`${where}: the target is the reference`);
    if (new Set(right).size !== right.length) throw new DataError(`${where}: a target is there twice`);
    const word = id === undefined ? "no id, so that its number in its split is its id, but" : "id";
    return { id: ids.add(`${id ?? i}`, where, word), reference: from, texts: [text], right };
  });
  const galleries = [{ name: "folder", pictures: Int32Array.from(index.pictures.keys()) }];
  return {
    data: "jsonl",
    name: split,
    pictures: index.pictures,
    queries,
    galleries,
    sources,
    notes: notesOn(others),
  };
}
