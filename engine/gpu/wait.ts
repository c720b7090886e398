// Waiting for the device. Dawn in Node asks it once per turn of the event loop whether it is done, and the turns follow
// each other without a pause: that keeps a core busy, which a software adapter would compute on. So the thread sleeps a
// little each turn, never for more than a fraction of the time waited so far, which a fast device does not feel.
// Browsers wait without any of this.
import { inNode } from "../base/home.ts";

/** A nap takes at most this share of the time since a wait last began or ended, and at most so many milliseconds. */
const share = 1 / 16;
const longest = 1;

/** What nobody wakes: to sleep is to wait for it. */
const never = inNode ? new Int32Array(new SharedArrayBuffer(4)) : null;
let waits = 0;
let napping = false;
let changed = 0;

/** Waits for something that the device has to do. */
export async function waitFor<T>(promise: Promise<T>): Promise<T> {
  if (!never) return promise;
  waits++;
  changed = performance.now();
  if (!napping) setImmediate(nap, never);
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
  Atomics.wait(cell, 0, 0, Math.min(longest, (performance.now() - changed) * share));
  setImmediate(nap, cell);
}
