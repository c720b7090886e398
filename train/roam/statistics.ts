// The paper's table of data sets: triplets, pictures, unique tokens, mean length of a text. How it counts tokens is not
// known; runs of letters and digits in lower case come near its figures (FashionIQ's captions of dresses and shirts have
// 3,545 of the 4,425 that it gives for all three categories).

/** A row of the table; null where a figure is not known. */
export interface Statistics {
  name: string;
  triplets: number;
  trainPictures: number | null;
  valPictures: number | null;
  tokens: number;
  /** Mean length of a text, in characters. */
  length: number;
}

/** As published with LaSCo (arXiv 2303.09429), train and val together. */
export const published: Statistics = {
  name: "LaSCo, as published",
  ...{ triplets: 389_305, trainPictures: 81_653, valPictures: 39_826, tokens: 13_488, length: 30.7 },
};

/** Counts texts as they come. */
export class TextCounts {
  private readonly tokens = new Set<string>();
  private characters = 0;
  private texts = 0;

  add(text: string): void {
    this.texts++;
    this.characters += [...text].length;
    for (const [token] of text.toLowerCase().matchAll(/[\p{L}\p{N}]+/gu)) this.tokens.add(token);
  }

  /** The row of what was added. */
  row(name: string, pictures: { train: number | null; val: number | null }): Statistics {
    return {
      ...{ name, triplets: this.texts, trainPictures: pictures.train, valPictures: pictures.val },
      ...{ tokens: this.tokens.size, length: this.texts === 0 ? 0 : this.characters / this.texts },
    };
  }
}
