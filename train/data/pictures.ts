// The pictures of a split while it is read: each id once, found by its id.
import { DataError, type Files, type Picture } from "./types.ts";

export class PictureIndex {
  readonly pictures: Picture[] = [];
  private readonly places = new Map<string, number>();

  /** The index of a picture, which is added unless it is there. Throws DataError for a path out of the folder. */
  add(id: string, path: string): number {
    const known = this.places.get(id);
    if (known !== undefined) return known;
    if (/(^|[\\/])\.\.([\\/]|$)/.test(path)) {
      throw new DataError(
        `picture ${JSON.stringify(id)}: its path ${JSON.stringify(path)} leads out of the folder`,
      );
    }
    this.places.set(id, this.pictures.length);
    return this.pictures.push({ id, path }) - 1;
  }

  has(id: string): boolean {
    return this.places.has(id);
  }

  /** The index of a picture. Throws DataError, which names `where`, for an id that no list of pictures has. */
  find(id: string, where: string, list: string): number {
    const place = this.places.get(id);
    if (place === undefined) throw new DataError(`${where}: picture ${JSON.stringify(id)} is not in ${list}`);
    return place;
  }
}

/** Ids, or whole triplets, that were seen. */
export class Ids {
  private readonly first = new Map<string, string>();

  /** Returns the id. Throws DataError, which names both entries, for one that another entry has. */
  add(id: string, where: string, what: string): string {
    const before = this.first.get(id);
    if (before !== undefined) throw new DataError(`${where}: ${what} ${id} is that of ${before} already`);
    this.first.set(id, where);
    return id;
  }
}

/** The first of some paths at which there is a file or a folder that is not empty; null where there is none. */
export async function firstThere(files: Files, paths: readonly string[]): Promise<string | null> {
  for (const path of paths) {
    if ((await files.size(path)) !== null || (await files.list(path)).length > 0) return path;
  }
  return null;
}

/** Joins paths, leaving out what is empty or the folder itself. */
export function joined(...parts: readonly string[]): string {
  return parts
    .flatMap((part) => part.split("/"))
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}
