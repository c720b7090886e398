// Items made ahead of whoever takes them, a few at most: batches are read and packed while the GPU computes.

/** A queue of items in the order of their numbers. */
export interface Ahead<T> {
  /**
   * The next item, the first being `from`. Throws what making it threw, once; the next call gives the item after it.
   * Throws where the queue was disposed.
   */
  next(): Promise<T>;
  /** Makes no more. Resolves when nothing is being made any longer, so that what making reads can be closed then. */
  dispose(): Promise<void>;
}

/**
 * Makes items `from`, `from + 1` and so on ahead of their being asked for, up to `depth` at a time, which are begun in
 * order. With depth 0 each is made when it is asked for.
 */
export function ahead<T>(make: (i: number) => Promise<T>, from: number, depth: number): Ahead<T> {
  if (!Number.isInteger(depth) || depth < 0) throw new RangeError(`cannot make ${depth} items ahead`);
  const queue: Promise<T>[] = [];
  const underWay = new Set<Promise<T>>();
  let begun = from;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let disposed = false;

  const begin = () => {
    // Async, so that what `make` throws at once is a rejection as well.
    const item = (async (i: number) => make(i))(begun++);
    const done = () => underWay.delete(item);
    underWay.add(item);
    // Whoever takes the item sees its failure; until then it must not count as unhandled.
    item.then(done, done);
    return item;
  };
  // One a turn of the event loop, as making holds up the thread: whoever just took an item goes on with that first.
  const fill = () => {
    timer = undefined;
    if (queue.length >= depth) return;
    queue.push(begin());
    timer = setTimeout(fill);
  };
  fill();

  return {
    async next() {
      if (disposed) throw new Error("nothing is made ahead any longer");
      const item = queue.shift() ?? begin();
      timer ??= setTimeout(fill);
      return item;
    },
    async dispose() {
      disposed = true;
      clearTimeout(timer);
      queue.length = 0;
      await Promise.allSettled(underWay);
    },
  };
}
