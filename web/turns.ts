// Things that must not happen at once, one after the other.

export class Turns {
  private last: Promise<unknown> = Promise.resolve();

  /** Does something when all before it has ended, well or not. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.last.then(work);
    this.last = mine.catch(() => {});
    return mine;
  }
}
