// Decodes picture files into rows of a pack, in a worker thread or in the process's own: several take their files from one
// list, and each writes what it made.
import { parentPort, workerData } from "node:worker_threads";
import { type Preparation, preparePicture } from "../../model/picture.ts";
import { decodePicture } from "./decode.ts";
import { type Layout, Shards } from "./shards.ts";

/** A square of a picture that holds many, in pixels. */
export interface Cell {
  /** Its upper left corner. */
  x: number;
  y: number;
  side: number;
}

/** A file, and the rows that are made from it. */
export interface Task {
  file: string;
  /** Without a cell the whole of it. */
  rows: { row: number; cell?: Cell }[];
}

/** What all threads of one building share. */
export interface Job {
  layout: Layout;
  /** As Shards takes them, in shared memory. */
  stamps: Uint8Array;
  preparation: Preparation;
  tasks: readonly Task[];
  /** int32, shared: the next task, the rows that are done, and whether to stop. */
  control: Int32Array;
}
export const control = { next: 0, done: 1, stop: 2, length: 3 } as const;

/** A file that no picture can be made of. */
export interface TaskFault {
  file: string;
  why: string;
}

/** Files that are open at a time in one thread, so that it resizes one while sharp's threads decode the other. */
const atOnce = 2;

/**
 * Does the tasks that nobody has begun, until there are none or it is told to stop.
 * @throws where a row can't be written; `onFault` is told of files that can't be read
 */
export async function pack(job: Job, shards: Shards, onFault: (fault: TaskFault) => void): Promise<void> {
  const { tasks } = job;
  const stopped = () => Atomics.load(job.control, control.stop) !== 0;
  const lane = async () => {
    while (!stopped()) {
      const task = tasks[Atomics.add(job.control, control.next, 1)];
      if (!task) return;
      const picture = await decodePicture(task.file).catch((error: Error) => {
        onFault({ file: task.file, why: error.message });
        return null;
      });
      for (const { row, cell } of task.rows) {
        if (stopped()) return;
        if (picture) shards.write(row, square(picture, job.preparation, cell));
        Atomics.add(job.control, control.done, 1);
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/** A picture, or a cell of it, as a row: uint8 [size, size, 3]. */
export function square(
  { rgb, width, height }: { rgb: Uint8Array; width: number; height: number },
  preparation: Preparation,
  cell?: Cell,
): Uint8Array {
  if (!cell) return preparePicture(rgb, width, height, preparation);
  const { x, y, side } = cell;
  const part = new Uint8Array(side * side * 3);
  for (let row = 0; row < side; row++) {
    const from = ((y + row) * width + x) * 3;
    part.set(rgb.subarray(from, from + side * 3), row * side * 3);
  }
  return preparePicture(part, side, side, preparation);
}

/** What a worker tells: files without pictures, and at last what ended it. */
export type Told = { fault: TaskFault } | { failed: { message: string; code?: string } };

const port = parentPort;
const job = workerData as Job | null;
if (port && job?.tasks) {
  const tell = (told: Told) => port.postMessage(told);
  try {
    const shards = new Shards(job.layout, job.stamps);
    await pack(job, shards, (fault) => tell({ fault }));
    shards.close();
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    tell({ failed: { message, code } });
  }
}
