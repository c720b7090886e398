// The pictures that are searched, by place: the page's gallery where its rows are known, and behind it one's own.
import { best, type Row } from "../../../train/eval/rank.ts";
import type { Matrix } from "../../../train/eval/scores.ts";
import type { Answer, Shown, Sight } from "../../messages.ts";
import type { Gallery } from "../gallery.ts";
import type { Eye } from "./eye.ts";
import type { OwnPicture } from "./own.ts";

/** Answers in a column. */
export const shown = 10;

interface Entry {
  name: string;
  label: string;
  print: string;
  sight: Sight;
}

export class Searched {
  private entries: Entry[] = [];
  /** Whether the page's gallery is among them. */
  hasGallery = false;

  constructor(readonly gallery: Gallery) {}

  /**
   * Lays the places out anew: of one's own pictures those that the eye has seen.
   * @param rows of the page's gallery, row-major; null leaves it out
   * @returns the rows of all places
   */
  lay({ key, width }: Eye, rows: Float32Array | null, own: readonly OwnPicture[]): Matrix {
    const mine = own.filter(({ prints }) => prints[key]);
    const given = rows ?? new Float32Array(0);
    const values = new Float32Array(given.length + mine.length * width);
    values.set(given);
    for (const [i, { prints }] of mine.entries()) values.set(prints[key]!.row, given.length + i * width);
    const { names, labels, prints } = this.gallery.file;
    const first = rows ? names : [];
    this.hasGallery = rows !== null;
    this.entries = [
      ...first.map((name, id) => ({
        ...{ name, label: labels[id]!, print: prints[id]! },
        sight: this.gallery.sight(id),
      })),
      ...mine.map(({ id, name, thumb, prints }) => ({
        ...{ name, label: name, print: prints[key]!.print },
        sight: { kind: "own", id, thumb } as const,
      })),
    ];
    return { values, width };
  }

  at(place: number): Readonly<Entry> | undefined {
    return this.entries[place];
  }

  /** Places of all pictures but those of a print. */
  placesBut(print: string): number[] {
    return [...this.entries.keys()].filter((place) => this.entries[place]!.print !== print);
  }

  show(place: number): Shown {
    const { label, sight } = this.entries[place]!;
    return { place, label, sight };
  }

  best(row: Row, among: readonly number[]): Answer[] {
    return best(row, shown, { among }).map(({ place, score }) => ({
      ...{ ...this.show(place), score },
      name: this.entries[place]!.name,
    }));
  }
}
