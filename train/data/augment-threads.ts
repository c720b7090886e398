// Augmentation beside the main thread. A picture of 224 pixels costs some milliseconds, so that those of a large batch would
// keep the thread that feeds the GPU busy for seconds; each thread here takes an equal part of them.
import { availableParallelism } from "node:os";
import { parentPort, Worker, workerData } from "node:worker_threads";
import type { RandomKey } from "../../engine/index.ts";
import { type Augmentation, augmentPictures } from "./augment.ts";

/** Bytes of pictures that are augmented sooner than threads are told of them. */
const fewBytes = 2 ** 21;

/** What a thread starts from: augment-threads.mjs, where augment-threads.ts is not built yet. */
const script = new URL(
  `./augment-threads.${import.meta.url.endsWith(".ts") ? "mjs" : "js"}`,
  import.meta.url,
);

/** Augments pictures as `augmentPictures` does, in threads where they are many; the threads start with the first such batch. */
export class AugmentThreads {
  private threads: Thread[] = [];

  /** @param many how many threads; no more than 8 and than the machine has unless told */
  constructor(private readonly many = Math.min(8, availableParallelism())) {}

  /** @throws Error where a thread ended, or threads were closed meanwhile */
  readonly augment = async (pixels: Uint8Array, how: Augmentation): Promise<Uint8Array> => {
    const count = how.sided.length;
    if (pixels.length <= fewBytes || count < 2) return augmentPictures(pixels, how);
    while (this.threads.length < this.many) this.threads.push(new Thread());
    const out = new Uint8Array(pixels.length);
    const bytes = pixels.length / count;
    const keys = { moves: plain(how.keys.moves), others: plain(how.keys.others) };
    await Promise.all(
      this.threads.map(async (thread, i) => {
        const [first, end] = [i, i + 1].map((at) => Math.floor((at * count) / this.threads.length)) as [
          number,
          number,
        ];
        if (first === end) return;
        const part = pixels.slice(first * bytes, end * bytes);
        out.set(
          await thread.ask(part, { ...how, keys, first, sided: how.sided.slice(first, end) }),
          first * bytes,
        );
      }),
    );
    return out;
  };

  /** Ends the threads; what they are asked at this time fails. */
  close(): void {
    for (const thread of this.threads) thread.close();
    this.threads = [];
  }
}

/** A key that can be sent. */
const plain = ({ key, stream }: RandomKey): RandomKey => ({
  key: typeof key === "number" ? key : key.value,
  stream,
});

interface Asked {
  part: Uint8Array<ArrayBuffer>;
  how: Augmentation;
}
type Answer = { pixels: Uint8Array } | { message: string };

/** One worker thread, which answers in the order in which it was asked. */
class Thread {
  private readonly worker = new Worker(script, { workerData: marker, execArgv: [] });
  private readonly waiting: { resolve(pixels: Uint8Array): void; reject(error: Error): void }[] = [];

  constructor() {
    const { worker, waiting } = this;
    worker.unref();
    worker.on("message", (answer: Answer) => {
      const { resolve, reject } = waiting.shift()!;
      if (waiting.length === 0) worker.unref();
      if ("message" in answer) reject(new Error(answer.message));
      else resolve(answer.pixels);
    });
    const end = (error: Error) => {
      for (const { reject } of waiting.splice(0)) reject(error);
    };
    worker.on("error", end);
    worker.on("exit", () => end(new Error("a thread that augments pictures has ended")));
  }

  ask(part: Uint8Array<ArrayBuffer>, how: Augmentation): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ resolve, reject });
      this.worker.ref();
      this.worker.postMessage({ part, how } satisfies Asked, [part.buffer]);
    });
  }

  close(): void {
    void this.worker.terminate();
  }
}

const marker = "casement augments pictures";
const port = parentPort;
if (port && workerData === marker) {
  port.on("message", ({ part, how }: Asked) => {
    try {
      const pixels = augmentPictures(part, how);
      port.postMessage({ pixels } satisfies Answer, [pixels.buffer as ArrayBuffer]);
    } catch (error) {
      port.postMessage({ message: (error as Error).message } satisfies Answer);
    }
  });
}
