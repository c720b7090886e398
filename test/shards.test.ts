// Pictures packed into shards: what is read, what is decoded again and what is not, faults, kills, a full disk.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeSquare } from "../train/data/decode.ts";
import { inMemory } from "../train/data/memory.ts";
import { openPictures, type PackOptions } from "../train/data/open.ts";
import { type Layout, layOut, Shards, stampBytes, stampOf } from "../train/data/shards.ts";
import { StoppedError } from "../train/data/types.ts";

const scratch = mkdtempSync(join(tmpdir(), "casement-shards-"));
test.after(() => rmSync(scratch, { recursive: true }));
let folders = 0;
function newFolder(): string {
  const folder = join(scratch, `${folders++}`);
  mkdirSync(folder);
  return folder;
}

/** Bytes that no two seeds share. */
function bytesOf(seed: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i += 32)
    bytes.set(
      createHash("sha256")
        .update(`${seed} ${i}`)
        .digest()
        .subarray(0, length - i),
      i,
    );
  return bytes;
}

const stampsOf = (names: readonly string[]) => Uint8Array.from(names.flatMap((name) => [...stampOf(name)]));
const never = async (row: number): Promise<Uint8Array> => {
  throw new Error(`row ${row} is made again`);
};

/** Ten rows of 100 bytes in shards of three. */
function tenRows(): { layout: Layout; stamps: Uint8Array; rows: Uint8Array[] } {
  const layout = layOut(newFolder(), 10, 100, 350);
  const rows = Array.from({ length: 10 }, (_, row) => bytesOf(row, 100));
  const stamps = stampsOf(rows.map((_, row) => `${row}`));
  const shards = new Shards(layout, stamps);
  assert.is(shards.missing().length, 10);
  for (const [row, bytes] of rows.entries()) shards.write(row, bytes);
  shards.close();
  return { layout, stamps, rows };
}
const joinedRows = (rows: readonly Uint8Array[], ids: readonly number[]) =>
  Uint8Array.from(Buffer.concat(ids.map((id) => rows[id]!)));

test("rows are read in any order, repeated and over the shards' ends, from files of the size that was asked for", async () => {
  const { layout, stamps, rows } = tenRows();
  const names = readdirSync(layout.folder).filter((name) => name.startsWith("shard"));
  assert.equal(
    names.map((name) => statSync(join(layout.folder, name)).size),
    [300, 300, 300, 100],
  );
  const shards = new Shards(layout, stamps);
  assert.equal(shards.missing(), []);
  for (const ids of [[], [9], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [7, 7, 2, 3, 4, 2, 9, 0], [5, 4, 3, 3]])
    assert.equal(await shards.read(ids, never), joinedRows(rows, ids), `${ids}`);
  shards.close();
  assert.throws(() => layOut("", 1, 351, 350), /holds no row of 351/);
  assert.throws(() => shards.write(0, new Uint8Array(99)), /has 100 bytes, not 99/);
});

test("a row whose bytes have changed is made again and written, and no other", async () => {
  const { layout, stamps, rows } = tenRows();
  const shard = openSync(join(layout.folder, "shard-0001"), "r+");
  writeSync(shard, Uint8Array.of(rows[4]![50]! ^ 1), 0, 1, 150);
  for (const once of [true, false]) {
    const shards = new Shards(layout, stamps);
    const made: number[] = [];
    const remake = async (row: number) => {
      made.push(row);
      return rows[row]!;
    };
    const ids = [3, 4, 4, 5];
    // Two at a time: neither may take the other's check for its own.
    const both = await Promise.all([shards.read(ids, remake), shards.read(ids, remake)]);
    for (const read of both) assert.equal(read, joinedRows(rows, ids));
    assert.equal([...new Set(made)], once ? [4] : []);
    shards.close();
  }
});

test("what a cut file has lost is made again", async () => {
  for (const [name, size, lost] of [
    ["shard-0001", 250, [5]],
    ["shard-0002", 0, [6, 7, 8]],
    ["records", 48 * 9 + 10, [9]],
    ["records", 0, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]],
  ] as const) {
    const { layout, stamps, rows } = tenRows();
    const open = new Shards(layout, stamps);
    truncateSync(join(layout.folder, name), size);
    const shards = new Shards(layout, stamps);
    assert.equal(shards.missing(), lost, `${name} of ${size} bytes`);
    shards.close();
    // Also in a process that had it open already.
    const all = rows.map((_, row) => row);
    assert.equal(await open.read(all, async (row) => rows[row]!), joinedRows(rows, all));
    open.close();
  }
});

test("a row that was made from something else is missing", () => {
  const { layout, stamps } = tenRows();
  const changed = Uint8Array.from(stamps);
  changed[6 * stampBytes + 15] ^= 1;
  const shards = new Shards(layout, changed);
  assert.equal(shards.missing(), [6]);
  shards.close();
});

test("pictures in memory are read as others are, and ids that are none are refused", async () => {
  const pixels = bytesOf(1, 3 * 12);
  const pictures = inMemory({ size: 2, names: ["a", "b", "c"], pixels });
  assert.equal(
    await pictures.read([2, 0, 2]),
    joinedRows(
      [0, 1, 2].map((i) => pixels.slice(12 * i, 12 * i + 12)),
      [2, 0, 2],
    ),
  );
  for (const id of [3, -1, 0.5, Number.NaN]) {
    const error = await pictures.read([id]).catch((thrown: Error) => thrown);
    assert.match((error as Error).message, /there is no picture/, `${id}`);
  }
  assert.throws(
    () => inMemory({ size: 2, names: ["a"], pixels }),
    /1 pictures of 2 pixels are 12 bytes, not 36/,
  );
});

/** A folder of small picture files of odd sizes, one of them missing and one broken among the first ten. */
async function pictureFolder(count: number): Promise<{ root: string; paths: string[] }> {
  const root = newFolder();
  mkdirSync(join(root, "deep"));
  const paths: string[] = [];
  for (let i = 0; i < count; i++) {
    const [width, height] = [17 + (i % 23), 40 - (i % 19)];
    const raw = { width, height, channels: (i % 3 === 0 ? 4 : 3) as 3 | 4 };
    const picture = sharp(bytesOf(i, width * height * raw.channels), { raw });
    paths.push(`${i % 2 ? "deep/" : ""}${i}.${i % 3 === 0 ? "png" : "jpg"}`);
    if (i !== missing) await picture.toFile(join(root, paths[i]!));
  }
  const file = join(root, paths[broken]!);
  writeFileSync(file, readFileSync(file).subarray(0, 200));
  return { root, paths };
}
const [missing, broken] = [3, 8];
const isGood = (id: number) => id !== missing && id !== broken;

const options = { size: 12, shardBytes: 5_000 } satisfies Partial<PackOptions>;
const many = await pictureFolder(60);

test("pictures are those of their files, by threads or without, and what can't be read is told", async () => {
  const { root, paths } = many;
  const good = paths.map((_, id) => id).filter(isGood);
  const crop = { fit: "crop", zoom: 8 / 7, filter: "bilinear" } as const;
  for (const [workers, preparation] of [
    [0, undefined],
    [2, undefined],
    [2, crop],
  ] as const) {
    const cacheDir = newFolder();
    const progress: number[] = [];
    const onProgress = (done: number, total: number) => {
      assert.is(total, paths.length);
      progress.push(done);
    };
    const open = () => openPictures(root, paths, { ...options, workers, preparation, cacheDir, onProgress });
    const { pictures, faults, close } = await open();
    assert.is(pictures.count, paths.length);
    assert.equal(pictures.names, paths);
    assert.is(progress.at(-1), paths.length);
    assert.equal(
      faults.map(({ place, path, missing }) => [place, path, missing]),
      [
        [missing, paths[missing], true],
        [broken, paths[broken], false],
      ],
    );
    assert.not.match(faults[1]!.why, /cannot decode|shards-/, "the message repeats the file's name");
    const expected = await Promise.all(
      good.map((id) => decodeSquare(join(root, paths[id]!), 12, preparation)),
    );
    assert.equal(await pictures.read(good), joinedRows(expected, [...expected.keys()]));
    assert.equal(pictures.digest!(good[5]!), createHash("sha256").update(expected[5]!).digest());
    for (const id of [missing, broken]) {
      const error = (await pictures.read([0, id]).catch((thrown: Error) => thrown)) as Error;
      assert.ok(error.message.includes(`picture ${paths[id]} can't be read`), error.message);
    }
    close();
    progress.length = 0;
    const again = await open();
    // How libvips words a fault depends on what its threads met before.
    assert.equal(
      again.faults.map(({ place, path, missing }) => [place, path, missing]),
      faults.map(({ place, path, missing }) => [place, path, missing]),
    );
    assert.equal(
      progress.filter((done) => done < paths.length - 1),
      [],
      "only the broken one is tried again",
    );
    again.close();
  }
});

/** Overwrites the rows of a cache that are there with `mark`, as if the files had shown that. */
function markRows(cacheDir: string, count: number, mark: number): number[] {
  const folder = join(cacheDir, readdirSync(cacheDir)[0]!);
  const layout = layOut(folder, count, 3 * 12 * 12, options.shardBytes);
  const records = readFileSync(join(folder, "records"));
  const stamps = new Uint8Array(count * stampBytes);
  for (let row = 0; row < count; row++)
    stamps.set(records.subarray(48 * row, 48 * row + stampBytes), row * stampBytes);
  const shards = new Shards(layout, stamps);
  const there = [...stamps.keys()]
    .filter((at) => at % stampBytes === 0 && stamps.subarray(at, at + stampBytes).some((byte) => byte !== 0))
    .map((at) => at / stampBytes);
  for (const row of there) shards.write(row, new Uint8Array(layout.rowBytes).fill(mark));
  shards.close();
  return there;
}
const isMarked = (row: Uint8Array, mark: number) => row.every((byte) => byte === mark);

test("only files that are new or have changed are decoded again", async () => {
  const { root, paths } = await pictureFolder(60);
  const cacheDir = newFolder();
  (await openPictures(root, paths, { ...options, cacheDir })).close();
  assert.is(markRows(cacheDir, 60, 77).length, 58);
  await sharp(join(root, paths[6]!)).toFile(join(root, paths[missing]!));
  await sharp(bytesOf(1000, 75), { raw: { width: 5, height: 5, channels: 3 } }).toFile(
    join(root, paths[20]!),
  );
  const { pictures, faults, close } = await openPictures(root, paths, { ...options, cacheDir });
  assert.equal(
    faults.map(({ place }) => place),
    [broken],
  );
  for (const id of paths.keys()) {
    if (id === broken) continue;
    const row = await pictures.read([id]);
    if (id === missing || id === 20) assert.equal(row, await decodeSquare(join(root, paths[id]!), 12));
    else assert.ok(isMarked(row, 77), paths[id]);
  }
  close();
  // Another list, size or preparation is another cache.
  for (const [list, more] of [
    [paths.slice(1), {}],
    [paths, { size: 13 }],
    [paths, { preparation: { fit: "squash", zoom: 1, filter: "bilinear" } }],
  ] as const) {
    const other = await openPictures(root, list, { ...options, ...more, cacheDir });
    assert.not(isMarked(await other.pictures.read([1]), 77));
    other.close();
  }
  const anew = await openPictures(root, paths, { ...options, cacheDir, version: "2" });
  assert.equal(await anew.pictures.read([1]), await decodeSquare(join(root, paths[1]!), 12));
  anew.close();
});

const repository = fileURLToPath(new URL("..", import.meta.url));

/** Opens the pictures in a process of its own, which tells how many are done, and at last the hash of all. */
function openElsewhere(root: string, paths: readonly string[], cacheDir: string) {
  const script = `
    import { createHash } from "node:crypto";
    import { openPictures } from "./train/data/open.ts";
    const { root, paths, options } = JSON.parse(process.env.OPEN);
    const onProgress = (done) => console.log("done", done);
    const { pictures, faults, close } = await openPictures(root, paths, { ...options, workers: 2, onProgress });
    const bad = new Set(faults.map(({ place }) => place));
    const all = await pictures.read(paths.map((_, id) => id).filter((id) => !bad.has(id)));
    console.log("hash", createHash("sha256").update(all).digest("hex"));
    close();`;
  const child = spawn(
    process.execPath,
    ["--import", "./cli/register.mjs", "--input-type=module", "--eval", script],
    {
      cwd: repository,
      env: { ...process.env, OPEN: JSON.stringify({ root, paths, options: { ...options, cacheDir } }) },
    },
  );
  let text = "";
  const watchers: ((done: number) => void)[] = [];
  child.stdout.on("data", (data) => {
    text += data;
    for (const watch of watchers)
      watch(
        Number(
          text
            .match(/done (\d+)\n/g)
            ?.at(-1)
            ?.slice(5) ?? 0,
        ),
      );
  });
  child.stderr.on("data", (data) => {
    text += data;
  });
  return {
    child,
    onDone: (watch: (done: number) => void) => watchers.push(watch),
    ended: new Promise<string>((resolve) => child.on("close", () => resolve(text))),
  };
}

/** Pictures that take so long that a process can be ended between them. */
async function slowFolder(): Promise<{ root: string; paths: string[] }> {
  const root = newFolder();
  const paths = Array.from({ length: 64 }, (_, i) => `${i}.jpg`);
  for (const [i, path] of paths.entries()) {
    const raw = { width: 500, height: 400 + i, channels: 3 as const };
    await sharp(new Uint8Array(bytesOf(i, 64 * 64 * 3)), { raw: { width: 64, height: 64, channels: 3 } })
      .resize(raw.width, raw.height, { fit: "fill" })
      .toFile(join(root, path));
  }
  return { root, paths };
}
const slow = await slowFolder();
const slowHash = async () => {
  const hash = createHash("sha256");
  for (const path of slow.paths) hash.update(await decodeSquare(join(slow.root, path), 12));
  return hash.digest("hex");
};

test("a build that was killed goes on without decoding again what was done", async () => {
  const { root, paths } = slow;
  const cacheDir = newFolder();
  const { child, onDone, ended } = openElsewhere(root, paths, cacheDir);
  onDone((done) => {
    if (done >= 15) child.kill("SIGKILL");
  });
  assert.not.match(await ended, /hash/);
  const there = markRows(cacheDir, paths.length, 91);
  assert.ok(there.length >= 15 && there.length < paths.length, `${there.length} were done`);
  const { pictures, close } = await openPictures(root, paths, { ...options, cacheDir });
  for (const [id, path] of paths.entries()) {
    const row = await pictures.read([id]);
    if (there.includes(id)) assert.ok(isMarked(row, 91), path);
    else assert.equal(row, await decodeSquare(join(root, path), 12));
  }
  close();
});

test("two processes that build one cache both get it whole", async () => {
  const cacheDir = newFolder();
  const both = [0, 1].map(() => openElsewhere(slow.root, slow.paths, cacheDir).ended);
  const expected = await slowHash();
  for (const text of await Promise.all(both)) assert.match(text, `hash ${expected}`);
  assert.is(readdirSync(cacheDir).length, 1);
});

test("opening stops within a second of being asked to, and goes on later", async () => {
  // So many that the fastest machine is stopped amid them: other names of the slow ones.
  const root = newFolder();
  const paths = slow.paths.flatMap((path) => Array.from({ length: 16 }, (_, i) => `${i}-${path}`));
  for (const [i, path] of paths.entries()) linkSync(join(slow.root, slow.paths[i >> 4]!), join(root, path));
  const cacheDir = newFolder();
  let asked = 0;
  const stop = () => {
    if (asked === 0) asked = performance.now();
    return true;
  };
  for (const workers of [0, 2]) {
    asked = 0;
    let begun = false;
    const error = await openPictures(root, paths, {
      ...{ ...options, cacheDir, workers },
      onProgress: (done) => {
        begun ||= done > 0;
      },
      stop: () => begun && stop(),
    }).catch((thrown: Error) => thrown);
    assert.instance(error, StoppedError);
    assert.ok(performance.now() - asked < 1000, `${performance.now() - asked} ms`);
  }
  const { pictures, close } = await openPictures(root, paths, { ...options, cacheDir });
  const all = await pictures.read(slow.paths.map((_, id) => 16 * id + (id % 16)));
  assert.is(createHash("sha256").update(all).digest("hex"), await slowHash());
  close();
});

test("a disk without room is told in words, before and while it is written", async () => {
  const { root, paths } = slow;
  const huge = await openPictures(root, paths, {
    ...{ size: 100_000, shardBytes: 2 ** 45, cacheDir: newFolder() },
  }).catch((thrown: Error) => thrown);
  assert.match(
    (huge as Error).message,
    /no room for the cache of 64 pictures: 1920\.0 GB are needed, .* are free/,
  );
  if (!existsSync("/dev/full")) return console.log("\nskipped: a full disk (there is no /dev/full here)");
  const cacheDir = newFolder();
  (await openPictures(root, paths, { ...options, cacheDir })).close();
  const folder = join(cacheDir, readdirSync(cacheDir)[0]!);
  rmSync(join(folder, "shard-0002"));
  symlinkSync("/dev/full", join(folder, "shard-0002"));
  for (const workers of [0, 2]) {
    // The rows of a device are none, so those of the others are asked for as well.
    const error = (await openPictures(root, paths, { ...options, cacheDir, workers }).catch(
      (thrown: Error) => thrown,
    )) as Error;
    assert.match(
      error.message,
      /no room left \(ENOSPC\): the pixels of 64 pictures take .*the next start goes on from there/,
    );
    assert.ok(error.message.includes(folder));
  }
});

test("a whole cache that nobody may write is read", async () => {
  if (process.getuid?.() === 0)
    return console.log("\nskipped: a cache without rights (the superuser has them all)");
  const { root, paths: all } = await pictureFolder(10);
  const paths = all.filter((_, id) => isGood(id));
  const cacheDir = newFolder();
  const read = async () => {
    const { pictures, close } = await openPictures(root, paths, { ...options, cacheDir });
    const pixels = await pictures.read([0, 1]);
    await close();
    return pixels;
  };
  const made = await read();
  const folder = join(cacheDir, readdirSync(cacheDir)[0]!);
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o444);
  chmodSync(folder, 0o555);
  assert.equal(await read(), made);
  chmodSync(folder, 0o755);
});

test.run();
