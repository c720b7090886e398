// Ranks from scores, by one rule for everything that is printed: a right answer comes behind every wrong picture that it
// does not beat. So a tie counts against it, and nothing beats a score that is not a number, nor does that beat anything;
// a model that gives all pictures one embedding ranks last, not first. Scores come rounded, from a GPU whose sums run in
// an order of its own; where two lie closer than that rounding, exact ones are asked for, so that ranks are the same on
// every device and those of a plain loop over the embeddings.

/** The scores of one query. */
export interface Row {
  /** By place in the gallery. */
  scores: Float32Array;
  /** The most that a score may differ from the exact one. */
  error: number;
  /** The exact score of a place. */
  exact(place: number): number;
}

/** Which places of a gallery answer a query. */
export interface Task {
  /** Places of the right answers. */
  right: readonly number[];
  /** Place of the reference; -1 where the gallery lacks it. */
  reference: number;
  /** Places that compete; all of the gallery unless there. */
  among?: readonly number[];
}

/** Where a right answer stands. */
export interface Standing {
  /** Its exact score. */
  score: number;
  /** Wrong pictures that it does not beat, the reference left out. */
  ahead: number;
  /** Whether it does not beat the reference either. */
  behindReference: boolean;
}

const none = new Int32Array(0);
let close = none;

/** Where each right answer stands among the wrong pictures, in the order of `task.right`. */
export function standings({ scores, error, exact }: Row, { right, reference, among }: Task): Standing[] {
  const count = among?.length ?? scores.length;
  if (close.length < count) close = new Int32Array(count);
  const answers = new Set(right);
  return right.map((answer) => {
    // Both scores may be off.
    const [low, high] = [scores[answer]! - 2 * error, scores[answer]! + 2 * error];
    let ahead = 0;
    let near = 0;
    if (among) {
      for (const place of among) {
        if (scores[place]! < low) continue;
        if (scores[place]! <= high) close[near++] = place;
        else ahead++;
      }
    } else {
      // What the time goes into: once for every score that there is.
      for (let place = 0; place < count; place++) {
        const one = scores[place]!;
        if (one < low) continue;
        if (one <= high) close[near++] = place;
        else ahead++;
      }
    }
    // Those above were counted with the reference and the other right answers among them.
    const competes = (place: number) => place >= 0 && (among?.includes(place) ?? true);
    const certain = (place: number) => !(scores[place]! < low) && !(scores[place]! <= high);
    for (const other of new Set([...right, reference])) if (competes(other) && certain(other)) ahead--;
    const score = exact(answer);
    for (let i = 0; i < near; i++) {
      const place = close[i]!;
      if (place !== reference && !answers.has(place) && !(exact(place) < score)) ahead++;
    }
    const behindReference =
      competes(reference) &&
      !(scores[reference]! < low) &&
      (certain(reference) || !(exact(reference) < score));
    return { score, ahead, behindReference };
  });
}

/** Rank of the best right answer, from 1; infinite where there is none. */
export function rankOf(standings: readonly Standing[], keepReference: boolean): number {
  return 1 + Math.min(...standings.map((one) => one.ahead + Number(keepReference && one.behindReference)));
}

/** Share of ranks up to k, from 0 to 1; 0 where there are none. */
export function recallAt(k: number, ranks: readonly number[]): number {
  return ranks.filter((rank) => rank <= k).length / Math.max(1, ranks.length);
}

/**
 * Average precision at k, from 0 to 1: the mean of the precisions at the right answers' ranks, of the first k alone, over
 * as many of them as could be there (CIRCO's `min(k, answers)`).
 */
export function averagePrecision(k: number, standings: readonly Standing[], keepReference: boolean): number {
  const before = standings
    .map((one) => one.ahead + Number(keepReference && one.behindReference))
    .sort((a, b) => a - b);
  let sum = 0;
  for (const [found, wrong] of before.entries()) {
    const rank = wrong + found + 1;
    if (rank <= k) sum += (found + 1) / rank;
  }
  return sum / Math.max(1, Math.min(k, standings.length));
}

/**
 * The k best places, best first; of equal ones that with the lower place first. What is no number is not among them.
 * @param without a place that does not compete; -1 for none
 * @param among places that compete; all unless there
 */
export function best(
  { scores, error, exact }: Row,
  k: number,
  { without = -1, among }: { without?: number; among?: readonly number[] } = {},
): { place: number; score: number }[] {
  if (k <= 0) return [];
  // The k largest rounded scores, smallest first.
  const largest: number[] = [];
  const places = (visit: (place: number) => void) => {
    if (among) among.forEach(visit);
    else for (let place = 0; place < scores.length; place++) visit(place);
  };
  places((place) => {
    const score = scores[place]!;
    if (place === without || Number.isNaN(score)) return;
    if (largest.length === k && score <= largest[0]!) return;
    if (largest.length === k) largest.shift();
    let at = largest.length;
    while (at > 0 && largest[at - 1]! > score) at--;
    largest.splice(at, 0, score);
  });
  // Any of the k best by exact scores is at most twice the error below the last of these.
  const least = (largest[0] ?? 0) - 2 * error;
  const found: { place: number; score: number }[] = [];
  places((place) => {
    if (place !== without && scores[place]! >= least) found.push({ place, score: exact(place) });
  });
  return found.sort((a, b) => b.score - a.score || a.place - b.place).slice(0, k);
}
