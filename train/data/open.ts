// Picture files as pictures that can be read: decoded once, by several threads, into shards of pixels on the disk, from
// which they are read by their ids ever after. In memory there are never more than those at hand.
import { createHash } from "node:crypto";
import { closeSync, openSync, readFileSync, stat, statfsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import type { Preparation } from "../../model/picture.ts";
import { makeFolder } from "../make-folder.ts";
import { cacheFolder, moduleBeside } from "../place.ts";
import { decodePicture, squash } from "./decode.ts";
import { checkId } from "./memory.ts";
import {
  type Cell,
  control,
  type Job,
  pack,
  square,
  type Task,
  type TaskFault,
  type Told,
} from "./packer.ts";
import { type Layout, layOut, Shards, stampBytes, stampOf } from "./shards.ts";
import { type Pictures, StoppedError } from "./types.ts";

export interface PackOptions {
  /** Side of the pictures in pixels. */
  size: number;
  /** How they become squares, as the model asks for it; squashed unless told. */
  preparation?: Omit<Preparation, "size">;
  /** Folder of all caches; made when missing. `cacheFolder` unless told. */
  cacheDir?: string;
  /** Pictures done, of all; not called where nothing has to be decoded. */
  onProgress?: (done: number, total: number) => void;
  /** Asked ten times a second while pictures are decoded; opening then ends with StoppedError, what was made stays. */
  stop?: () => boolean;
  /** Beside the files' sizes and times, what their pictures depend on, such as the version of a package. */
  version?: string;
  /** The largest file of the cache; a gigabyte unless told. */
  shardBytes?: number;
  /** Threads that decode; as many as there are cores, 8 at most, unless told. 0 is this one alone. */
  workers?: number;
}

/** One picture: a file, or a square of it. */
export interface Place {
  name: string;
  file: string;
  cell?: Cell;
}

/** A picture that can't be read. */
export interface Fault {
  /** Its id. */
  place: number;
  path: string;
  why: string;
  /** Whether there is no such file; otherwise it can't be decoded. */
  missing: boolean;
}

export interface OpenPictures {
  /** Reading one that has a fault throws. */
  pictures: Pictures;
  /** By place. */
  faults: Fault[];
  close(): Promise<void>;
}

/** Below so many pictures to decode, starting threads takes longer than it saves. */
const fewPictures = 48;
/** Milliseconds between two looks at how far the threads are, and whether to stop. */
const pollEvery = 100;
/** Milliseconds that threads have to finish the picture at hand once they are to stop. */
const patience = 700;

const statFile = promisify(stat);

/**
 * Opens picture files by their paths relative to a folder. A picture's id is its path's index.
 * @throws StoppedError; Error where the cache can't be written, naming its folder
 */
export function openPictures(
  root: string,
  paths: readonly string[],
  options: PackOptions,
): Promise<OpenPictures> {
  const folder = resolve(root);
  return openPlaces(
    paths.map((path) => ({ name: path, file: join(folder, path) })),
    options,
  );
}

/** Opens pictures that are files, or squares of files. Throws as openPictures. */
export async function openPlaces(places: readonly Place[], options: PackOptions): Promise<OpenPictures> {
  const { size, cacheDir = cacheFolder, shardBytes } = options;
  if (!Number.isInteger(size) || size < 1) throw new RangeError(`there are no pictures of ${size} pixels`);
  const { fit, zoom, filter } = options.preparation ?? squash;
  const preparation = { size, fit, zoom, filter };
  const folder = join(cacheDir, `pictures-${size}-${keyOf(places, preparation, shardBytes)}`);
  const layout = layOut(folder, places.length, 3 * size * size, shardBytes);
  const { stamps, missing } = await stampAll(places, options);
  await makeCache(folder);
  const shards = new Shards(layout, stamps);
  try {
    const faults = new Map<string, { why: string; missing: boolean }>();
    for (const file of missing) faults.set(file, { why: "there is no such file", missing: true });
    const building = { shards, places, stamps, preparation, faults };
    if (pendingIn(building).length > 0) await build(building, options);
    return offer(building);
  } catch (error) {
    shards.close();
    throw error;
  }
}

/** Makes the folder of a cache. Throws an Error that names it and how another one is named. */
async function makeCache(folder: string): Promise<void> {
  try {
    await makeFolder(folder);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new Error(
      `The pictures' cache ${folder} can't be made (${code ?? message}). CASEMENT_CACHE names another folder for it.`,
      { cause },
    );
  }
}

interface Building {
  shards: Shards;
  places: readonly Place[];
  stamps: Uint8Array;
  preparation: Preparation;
  /** By file. */
  faults: Map<string, { why: string; missing: boolean }>;
}

/** The pictures that are still to be made, but for those that can't be. */
function pendingIn({ shards, places, faults }: Building): number[] {
  return shards.missing().filter((row) => !faults.has(places[row]!.file));
}

function offer({ shards, places, preparation, faults }: Building): OpenPictures {
  const failed = (id: number) => {
    const { why } = faults.get(places[id]!.file)!;
    return new Error(`picture ${places[id]!.name} can't be read: ${why}`);
  };
  const remake = async (id: number) => {
    const { file, cell } = places[id]!;
    return square(await decodePicture(file), preparation, cell);
  };
  const bad = (id: number) => faults.has(places[id]!.file);
  return {
    pictures: {
      count: places.length,
      size: preparation.size,
      names: places.map(({ name }) => name),
      async read(ids) {
        for (let i = 0; i < ids.length; i++) if (bad(checkId(ids[i]!, places.length))) throw failed(ids[i]!);
        return shards.read(ids, remake);
      },
      digest: (id) => shards.digest(id),
    },
    faults: places.flatMap(({ name, file }, place) => {
      const fault = faults.get(file);
      return fault ? [{ place, path: name, ...fault }] : [];
    }),
    close: async () => shards.close(),
  };
}

/** Names the folder of a list of pictures at one size: what else they depend on is in each picture's stamp. */
function keyOf(places: readonly Place[], preparation: Preparation, shardBytes?: number): string {
  const hash = createHash("sha256").update(JSON.stringify([1, preparation, shardBytes ?? null]));
  for (const { file, cell } of places) hash.update(`\n${file}\0${cell ? JSON.stringify(cell) : ""}`);
  return hash.digest("hex").slice(0, 16);
}

/** The code that makes pixels, and the version of what decodes. */
function codeStamp(): Uint8Array {
  const code = ["../../model/picture", "./decode", "./packer"];
  return stampOf(sharpVersion(), ...code.map((path) => readFileSync(moduleBeside(path, import.meta.url))));
}

function sharpVersion(): string {
  try {
    const entry = createRequire(import.meta.url).resolve("sharp");
    return JSON.parse(readFileSync(join(dirname(entry), "../package.json"), "utf8")).version;
  } catch {
    return ""; // decoding says that it is missing
  }
}

/** What each picture is made from: its file's path, size and time of change, and the code. */
async function stampAll(
  places: readonly Place[],
  { version = "", stop = () => false }: PackOptions,
): Promise<{ stamps: Uint8Array; missing: Set<string> }> {
  const files = [...new Set(places.map(({ file }) => file))];
  const missing = new Set<string>();
  const about = new Map<string, string>();
  const atOnce = 256;
  for (let from = 0; from < files.length; from += atOnce) {
    if (stop()) throw new StoppedError("stopped while looking for pictures");
    const look = async (file: string) => {
      const info = await statFile(file).catch(() => null);
      if (info?.isFile()) about.set(file, `${info.size} ${info.mtimeMs}`);
      else missing.add(file);
    };
    await Promise.all(files.slice(from, from + atOnce).map(look));
  }
  const code = codeStamp();
  // Shared, so that the threads need no copies.
  const stamps = new Uint8Array(new SharedArrayBuffer(places.length * stampBytes));
  for (const [i, { file, cell }] of places.entries()) {
    const parts = [code, version, file, about.get(file) ?? "", cell ? JSON.stringify(cell) : ""];
    stamps.set(stampOf(...parts), i * stampBytes);
  }
  return { stamps, missing };
}

/** Makes what is missing, one process at a time. */
async function build(building: Building, options: PackOptions): Promise<void> {
  const { shards, places } = building;
  const { onProgress = () => {}, stop = () => false } = options;
  const { folder } = shards.layout;
  const lock = openSync(join(folder, "lock"), "a");
  try {
    while (!(await tryLock(lock))) {
      if (stop()) throw new StoppedError("stopped while another process decodes these pictures");
      await sleep(pollEvery);
      shards.refresh();
      onProgress(places.length - pendingIn(building).length, places.length);
    }
    shards.refresh();
    const pending = pendingIn(building);
    if (pending.length === 0) return;
    requireRoom(building, pending.length);
    const about = {
      size: building.preparation.size,
      preparation: building.preparation,
      count: places.length,
    };
    writeFileSync(join(folder, "about.txt"), JSON.stringify({ ...about, first: places[0]!.file }, null, 2));
    await packAll(building, pending, options);
    shards.refresh();
  } catch (error) {
    throw withRoom(error as Error & { code?: string }, shards.layout, "pixels");
  } finally {
    closeSync(lock);
  }
}

/** Whether this process has the lock now; also where the file system has no locks, as rows can be written by two. */
async function tryLock(file: number): Promise<boolean> {
  try {
    return (await import("fs-native-extensions")).tryLock(file);
  } catch {
    return true;
  }
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 1)} GB`;

/** Throws where the disk has no room for so many rows, before an hour is spent on the first of them. */
function requireRoom({ shards, places }: Building, pending: number): void {
  const { folder, rowBytes } = shards.layout;
  const { bavail, bsize, blocks } = statfsSync(folder);
  // Some file systems of networks don't say.
  if (blocks === 0) return;
  const [free, needed] = [bavail * bsize, pending * rowBytes];
  if (free >= needed) return;
  throw new Error(
    `${folder} has no room for the cache of ${places.length} pictures: ${gigabytes(needed)} are needed, ` +
      `${gigabytes(free)} are free.`,
  );
}

/** A full disk in words; any other error as it is. */
export function withRoom(
  error: Error & { code?: string },
  { folder, rows, rowBytes }: Layout,
  what: string,
): Error {
  if (!["ENOSPC", "EDQUOT", "EFBIG"].includes(error.code ?? "")) return error;
  return new Error(
    `${folder} has no room left (${error.code}): the ${what} of ${rows} pictures take ${gigabytes(rows * rowBytes)}. ` +
      "What was written stays, and the next start goes on from there.",
    { cause: error },
  );
}

/** Decodes the pending pictures, by threads where there are many. */
async function packAll(building: Building, pending: readonly number[], options: PackOptions): Promise<void> {
  const { shards, places, stamps, preparation, faults } = building;
  const { onProgress = () => {}, stop = () => false } = options;
  const tasks = tasksOf(places, pending);
  const shared = new Int32Array(new SharedArrayBuffer(4 * control.length));
  const job: Job = { layout: shards.layout, stamps, preparation, tasks, control: shared };
  const halt = () => Atomics.store(shared, control.stop, 1);
  const found = ({ file, why }: TaskFault) =>
    faults.set(file, { why: why.replace(`cannot decode picture ${file}: `, ""), missing: false });

  const already = places.length - pending.length;
  const report = () => onProgress(already + Atomics.load(shared, control.done), places.length);
  let stopped = false;
  let atStop = () => {};
  const stopping = new Promise<void>((resolve) => {
    atStop = resolve;
  });
  const poll = setInterval(() => {
    report();
    if (!stop()) return;
    stopped = true;
    halt();
    atStop();
  }, pollEvery);
  const many = Math.min(options.workers ?? Math.min(8, availableParallelism()), tasks.length);
  try {
    if (pending.length < fewPictures || many === 0) await pack(job, shards, found);
    else await inThreads(job, many, found, halt, stopping);
  } finally {
    clearInterval(poll);
  }
  if (stopped) throw new StoppedError("stopped while decoding pictures; those that are done stay");
  report();
}

/** The pending rows by the file that they are made from, in the order of the rows. */
function tasksOf(places: readonly Place[], pending: readonly number[]): Task[] {
  const tasks = new Map<string, Task>();
  for (const row of pending) {
    const { file, cell } = places[row]!;
    const task = tasks.get(file);
    if (task) task.rows.push({ row, cell });
    else tasks.set(file, { file, rows: [{ row, cell }] });
  }
  return [...tasks.values()];
}

/** What a thread starts from: packer.mjs, where packer.ts is not built yet. */
const packer = new URL(import.meta.url.endsWith(".ts") ? "./packer.mjs" : "./packer.js", import.meta.url);

/** Runs a job in threads until all have ended; where one fails the others stop. */
async function inThreads(
  job: Job,
  many: number,
  onFault: (fault: TaskFault) => void,
  halt: () => void,
  stopping: Promise<void>,
): Promise<void> {
  let failure: Error | null = null;
  const fail = (error: Error) => {
    failure ??= error;
    halt();
  };
  const threads = Array.from({ length: many }, () => {
    const worker = new Worker(packer, { workerData: job, execArgv: [] });
    worker.on("message", (told: Told) => {
      if ("fault" in told) onFault(told.fault);
      else fail(Object.assign(new Error(told.failed.message), { code: told.failed.code }));
    });
    const ended = new Promise<void>((done) => {
      worker.on("error", fail);
      worker.on("exit", () => done());
    });
    return { worker, ended };
  });
  const all = Promise.all(threads.map(({ ended }) => ended));
  // A picture of hundreds of megapixels may go on; its thread keeps nobody waiting.
  const impatience = stopping.then(async () => {
    await sleep(patience, undefined, { ref: false });
    for (const { worker } of threads) worker.unref();
  });
  await Promise.race([all, impatience]);
  if (failure) throw failure;
}
