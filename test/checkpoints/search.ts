// Plays samples one after the other and counts what came of them.
import { Player } from "./play.ts";

export interface Found {
  failures: { round: number; failure: string }[];
  loaded: number;
  refused: number;
  /** The largest difference of those that were loaded. */
  worst: number;
}

/** Plays `count` samples of a seed from round `from` on; stops at `most` failures. */
export async function search({
  seed,
  from = 0,
  count,
  most = 5,
}: {
  seed: number;
  from?: number;
  count: number;
  most?: number;
}): Promise<Found> {
  const player = await Player.create();
  const found: Found = { failures: [], loaded: 0, refused: 0, worst: 0 };
  for (let round = from; round < from + count && found.failures.length < most; round++) {
    const { failure, refused, error } = await player.play(seed, round);
    if (failure !== null) found.failures.push({ round, failure });
    else if (refused) found.refused++;
    else {
      found.loaded++;
      found.worst = Math.max(found.worst, error);
    }
  }
  player.dispose();
  return found;
}
