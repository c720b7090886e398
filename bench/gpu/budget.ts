// The time that the whole script may take, shared out over its parts. A part ends at a fixed time after the start of the
// script, whatever the parts before it did: what one leaves over is the next one's, and what one would like beyond its
// share it does not get.

/** A part's name and the seconds that are meant for it, in a full run and in a quick one; 0 leaves it out. */
export interface Share {
  name: string;
  full: number;
  quick: number;
}

/** Seconds from the start of the process to its end. */
export const totalSeconds = { full: 420, quick: 120 };
/** Seconds kept for starting, for ending processes that hang, and for writing. */
export const reserve = 10;

/** For each part that runs, seconds from the start of the script to its end at the latest. */
export function endings(
  shares: readonly Share[],
  quick: boolean,
  only: readonly string[] = [],
): Map<string, number> {
  const of = (share: Share) => (quick ? share.quick : share.full);
  const chosen = shares.filter((share) => (only.length > 0 ? only.includes(share.name) : of(share) > 0));
  const time = (quick ? totalSeconds.quick : totalSeconds.full) - reserve;
  // A part asked for by name runs in a quick run too.
  const wanted = (share: Share) => of(share) || share.full;
  const sum = chosen.reduce((total, share) => total + wanted(share), 0);
  let used = 0;
  return new Map(
    chosen.map((share) => {
      used += wanted(share);
      return [share.name, (time * used) / sum];
    }),
  );
}
