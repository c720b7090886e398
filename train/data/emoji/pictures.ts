// The emoji pictures of some sources, packed as those of any data set.
import { type OpenPictures, openPlaces, type PackOptions } from "../open.ts";
import { type Source, sourceVersions } from "./sources.ts";

/** How emoji pictures are opened. */
export type EmojiOptions = Pick<PackOptions, "size" | "preparation" | "cacheDir" | "onProgress" | "stop">;

/** Opens the pictures of sources, an id being a source's index. Throws as openPictures, and where one can't be decoded. */
export async function openSources(sources: readonly Source[], options: EmojiOptions): Promise<OpenPictures> {
  const places = sources.map(({ vendor, code, path, cell }) => ({
    name: `${vendor}/${code}`,
    ...(cell ? { file: cell.sheet, cell: { x: cell.x, y: cell.y, side: cell.side } } : { file: path }),
  }));
  // npm gives every file the same time, so a new version of a package may show in nothing else.
  const version = sourceVersions().join("\n");
  const opened = await openPlaces(places, { ...options, version });
  const [first] = opened.faults;
  if (!first) return opened;
  await opened.close();
  const others = opened.faults.length > 1 ? `, nor can ${opened.faults.length - 1} others` : "";
  throw new Error(`cannot decode the emoji picture ${first.path}: ${first.why}${others}`);
}
