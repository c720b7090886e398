// Waiting for the device. Dawn in Node asks it once per turn of the event loop whether it is done, and the turns follow
// each other without a pause: that keeps a core busy, which a software adapter would compute on. So the thread sleeps a
// little each turn, never for more than a fraction of the time waited so far, which a fast device does not feel. Firefox
// asks the device ten times a second (bug 1870699, "Don't poll WebGPU from a timer") and at every submit: so it is sent
// empty ones meanwhile. Other browsers and Deno wait without any of this.
import { inNode } from "../base/home.ts";

/** A nap, or a pause between pokes, takes at most this share of the time since a wait last began or ended. */
const share = 1 / 16;
/** Milliseconds of the longest nap, and of the longest pause between pokes. */
const longest = { nap: 1, pause: 8 };

/** What nobody wakes: to sleep is to wait for it. */
const never = inNode ? new Int32Array(new SharedArrayBuffer(4)) : null;
let waits = 0;
let napping = false;
let changed = 0;

/** Where the device is asked by a timer: in Firefox and its kin, who alone name their engine with its version. */
const pollsSeldom = typeof navigator !== "undefined" && /\bGecko\//.test(navigator.userAgent);

type Queue = Pick<GPUQueue, "submit">;

/** Waits for something that the device of a queue has to do. */
export function waitFor<T>(promise: Promise<T>, queue: Queue): Promise<T> {
  if (pollsSeldom) return pokeUntil(promise, queue);
  return never ? napUntil(promise, never) : promise;
}

async function napUntil<T>(promise: Promise<T>, cell: Int32Array): Promise<T> {
  waits++;
  changed = performance.now();
  if (!napping) setImmediate(nap, cell);
  napping = true;
  try {
    return await promise;
  } finally {
    waits--;
    changed = performance.now();
  }
}

function nap(cell: Int32Array): void {
  napping = waits > 0;
  if (!napping) return;
  Atomics.wait(cell, 0, 0, Math.min(longest.nap, (performance.now() - changed) * share));
  setImmediate(nap, cell);
}

/** Who waits for a queue: their number, when the last began, and the timer of the next poke. */
interface Waiters {
  count: number;
  since: number;
  timer: ReturnType<typeof setTimeout> | undefined;
}
const waiters = new WeakMap<Queue, Waiters>();

async function pokeUntil<T>(promise: Promise<T>, queue: Queue): Promise<T> {
  const all = waiters.get(queue) ?? { count: 0, since: 0, timer: undefined };
  waiters.set(queue, all);
  all.count++;
  all.since = performance.now();
  poke(queue, all);
  try {
    return await promise;
  } finally {
    if (--all.count === 0) clearTimeout(all.timer);
  }
}

/** Has the queue poked after a pause, and again until nobody waits for it. */
function poke(queue: Queue, all: Waiters): void {
  clearTimeout(all.timer);
  const pause = Math.min(longest.pause, (performance.now() - all.since) * share);
  all.timer = setTimeout(() => {
    queue.submit([]);
    poke(queue, all);
  }, pause);
}
