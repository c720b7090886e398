// One's own pictures while the page is open: added and removed, each seen once by each model that it is searched with.
import type { Added, News, PictureFile } from "../../messages.ts";
import { type Eye, seeFiles } from "./eye.ts";
import { keep, type OwnPicture, ownPictures, removeAll } from "./own.ts";
import { thumbOf } from "./pictures.ts";

/** Pictures that are seen, and kept, at a time. */
const batch = 16;

export class Collection {
  private pictures: OwnPicture[] = [];
  /** Whether pictures that are being added go on. */
  private adding = false;

  constructor(private readonly tell: (news: News) => void) {}

  get all(): readonly OwnPicture[] {
    return this.pictures;
  }

  /** Takes what the database has, as another tab may have left it. */
  async read(): Promise<void> {
    this.pictures = await ownPictures();
  }

  fileOf(id: number): Blob | undefined {
    return this.pictures.find((one) => one.id === id)?.file;
  }

  async clear(): Promise<void> {
    await removeAll();
    this.pictures = [];
  }

  /** Has an eye see those that it has not. */
  async show(eye: Eye): Promise<void> {
    const waiting = this.pictures.filter(({ prints }) => !prints[eye.key]);
    for (let from = 0; from < waiting.length; from += batch) {
      const part = waiting.slice(from, from + batch);
      const seen = await seeFiles(eye, part);
      for (const [i, picture] of part.entries()) {
        const print = seen[i];
        if (!print || print instanceof Error) continue;
        picture.prints[eye.key] = print;
        await keep(picture).catch(() => {});
      }
      this.advance(from, waiting.length);
    }
  }

  /** @param withEye does something with what sees now, once more with another where that is lost */
  async add(
    files: readonly PictureFile[],
    withEye: <T>(work: (eye: Eye) => Promise<T>) => Promise<T>,
  ): Promise<Omit<Added, "gallery">> {
    const faults: Added["faults"] = [];
    let added = 0;
    this.adding = true;
    for (let from = 0; from < files.length && this.adding; from += batch) {
      const part = files.slice(from, from + batch);
      const [key, seen] = await withEye(async (eye) => [eye.key, await seeFiles(eye, part)] as const);
      for (const [i, { file, name }] of part.entries()) {
        const print = seen[i]!;
        try {
          if (print instanceof Error) throw print;
          const picture = { name, file, thumb: await thumbOf(file), prints: { [key]: print } };
          this.pictures.push({ ...picture, id: await keep(picture) });
          added++;
        } catch (error) {
          faults.push({ name, why: (error as Error).message });
        }
      }
      this.advance(from, files.length);
    }
    return { added, faults };
  }

  stopAdding(): void {
    this.adding = false;
  }

  private advance(from: number, total: number): void {
    const done = Math.min(from + batch, total);
    this.tell({ kind: "progress", what: "embedding your pictures", done, total });
  }
}
