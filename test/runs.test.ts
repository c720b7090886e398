// A run's folder: claimed when the first step is done, one process at a time, whole after a kill, a full disk and a
// divergence; what is overruled when a run goes on stays; every bit of a seed counts.
import { spawn } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RandomStreams, seedKey } from "../engine/index.ts";
import { initialValues } from "../model/parameters.ts";
import { parseConfig } from "../train/config.ts";
import { loadEmoji } from "../train/data/emoji/index.ts";
import { makeFolder, removeEmpty } from "../train/make-folder.ts";
import { readTensors } from "../train/run/checkpoint.ts";
import { fileAt, requireWritable, writeAtomically } from "../train/run/disk.ts";
import { RunFolder } from "../train/run/folder.ts";
import { lockFolder, makeLocked } from "../train/run/lock.ts";
import { type Result, runCommand } from "./command.ts";

const dir = mkdtempSync(join(tmpdir(), "casement-runs-"));
const script = fileURLToPath(new URL("../cli/casement.mjs", import.meta.url));
const at = (...names: string[]) => join(dir, ...names);

const config = {
  name: "long",
  seed: 3,
  data: { kind: "emoji" },
  model: {
    vision: { imageSize: 32, patchSize: 16, width: 16, depth: 1, heads: 2 },
    text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 24, maxLength: 16 },
    projection: 16,
  },
  // So long that only what a test does ends it.
  training: { steps: 100_000, pictures: 8, triplets: 12, warmup: 2, checkpointEvery: 2 },
};
type Config = typeof config;
function writeConfig(name: string, model: object = {}, training: object = {}): string {
  const changed: Config = {
    ...config,
    model: { ...config.model, ...model },
    training: { ...config.training, ...training },
  };
  writeFileSync(at(name), JSON.stringify(changed));
  return name;
}
writeConfig("long.json");

const checkpoints = (run: string) =>
  readdirSync(at(run)).filter((name) => /^checkpoint-\d+\.safetensors$/.test(name));
const stepsOf = (run: string) => JSON.parse(readFileSync(at(run, "config.json"), "utf8")).training.steps;

/** A command that trains: `until` is awaited, then `end` ends it. */
async function training(
  args: string[],
  end: (child: ReturnType<typeof spawn>) => void,
  until: (out: string) => boolean,
): Promise<Result> {
  const child = spawn(process.execPath, [script, "train", ...args], { cwd: dir });
  let [out, err, ended] = ["", "", false];
  const look = () => {
    if (ended || !until(out)) return;
    ended = true;
    end(child);
  };
  const timer = setInterval(look, 20);
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    err += data;
  });
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve));
  clearInterval(timer);
  return { code, out, err };
}

const terminate = (child: ReturnType<typeof spawn>) => child.kill("SIGTERM");

test("a run that fails before its first step leaves nothing, and the corrected command works", async () => {
  for (const [args, message] of [
    [
      ["--config", writeConfig("many.json", {}, { pictures: 9000 })],
      /a batch needs 2 to \d+ pictures|use a smaller batch/,
    ],
    [["--config", writeConfig("one.json", {}, { pictures: 1 })], /training\.pictures.*>=2/],
    [
      ["--config", writeConfig("wild.json", { initializerRange: 1e30 })],
      /at step 1\. Training stopped\. There is no checkpoint yet\./,
    ],
  ] as const) {
    const { code, err } = await runCommand(dir, ["train", ...args, "--out", "deep/run/"]);
    assert.is(code, 1);
    assert.match(err, message);
    assert.not(existsSync(at("deep")), "the folder is gone again");
  }
  const { code, out } = await training(["--config", "long.json", "--out", "deep/run/"], terminate, (said) =>
    said.includes("step 1/"),
  );
  assert.is(code, 130);
  assert.match(out, /Stopped after step \d+\. To go on: npx casement train --resume deep\/run\/$/m);
  assert.is(checkpoints("deep/run").length > 0, true);
});

test("a second process is refused while the first lives, and a kill needs no unlocking", async () => {
  const seen: Promise<Result>[] = [];
  const first = await training(
    ["--config", "long.json", "--out", "shared"],
    async (child) => {
      for (const args of [
        ["--resume", "shared"],
        ["--config", "long.json", "--out", "./shared/", "--fresh"],
      ]) {
        seen.push(runCommand(dir, ["train", ...args]));
      }
      await Promise.all(seen);
      child.kill("SIGKILL");
    },
    (out) => out.includes("step 1/"),
  );
  assert.is(first.code, null);
  for (const { code, err } of await Promise.all(seen)) {
    assert.is(code, 1);
    assert.match(err, /shared\/? is in use by process \d+ on \S+; end that first/);
  }
  assert.ok(existsSync(at("shared/lock")), "the kill left its file");
  const { code, out } = await training(["--resume", "shared"], terminate, (said) => said.includes("Resumed"));
  assert.is(code, 130);
  assert.match(out, /Resumed shared at step [1-9]/);
  assert.equal(
    readdirSync(at("shared")).filter((name) => /lock|draft/.test(name)),
    [],
  );
});

test("what overrules a run's configuration when it goes on is kept", async () => {
  const stopped = await training(
    ["--resume", "shared", "--steps", "70000", "--set", "training.checkpointEvery=3"],
    terminate,
    (said) => said.includes("Resumed"),
  );
  assert.is(stopped.code, 130);
  const { training: kept } = JSON.parse(readFileSync(at("shared", "config.json"), "utf8"));
  assert.equal([kept.checkpointEvery, kept.decaySteps], [3, 100_000]);
  assert.is(stepsOf("shared"), 70000);
  const { out } = await training(["--resume", "shared"], terminate, (said) => said.includes("Resumed"));
  assert.match(out, /of 70000/);
  const refused = await runCommand(dir, ["train", "--resume", "shared", "--steps", "1"]);
  assert.is(refused.code, 1);
  assert.match(refused.err, /shared is at step \d+ already, beyond 1/);
  assert.is(stepsOf("shared"), 70000);
  const beside = await runCommand(dir, ["train", "--resume", "shared", "--out", "other dir"]);
  assert.is(beside.code, 2);
  assert.match(beside.err, /leave out: --out 'other dir'/);
});

test("--fresh moves a run aside once the new one has made a step", async () => {
  const before = checkpoints("shared");
  const failed = await runCommand(dir, ["train", "--config", "many.json", "--out", "shared/", "--fresh"]);
  assert.is(failed.code, 1);
  assert.equal(checkpoints("shared"), before);
  mkdirSync(at("shared.previous"));
  writeFileSync(at("shared.previous/diary.txt"), "mine");
  const refused = await runCommand(dir, ["train", "--config", "long.json", "--out", "shared/", "--fresh"]);
  assert.is(refused.code, 1);
  assert.match(refused.err, /shared\.previous.* holds something else/);
  rmSync(at("shared.previous"), { recursive: true });
  const { code } = await training(
    ["--config", "long.json", "--out", "shared/", "--fresh"],
    terminate,
    (said) => said.includes("step 1/"),
  );
  assert.is(code, 130);
  assert.equal(checkpoints("shared.previous"), before);
  assert.is(stepsOf("shared"), 100_000);
  assert.equal(readdirSync(at("shared.previous")).includes("lock"), false);
});

test("a folder with somebody else's files is left alone", async () => {
  mkdirSync(at("theirs"));
  writeFileSync(at("theirs/config.json"), '{ "model_type": "blip" }');
  writeFileSync(at("theirs/model.safetensors"), "x");
  for (const fresh of [[], ["--fresh"]]) {
    const { code, err } = await runCommand(dir, [
      "train",
      "--config",
      "long.json",
      "--out",
      "theirs",
      ...fresh,
    ]);
    assert.is(code, 1);
    assert.match(err, /theirs holds config\.json/);
  }
  assert.equal(readdirSync(at("theirs")), ["config.json", "model.safetensors"]);
});

test("a full disk ends a run with its last checkpoint whole", async () => {
  if (!existsSync("/dev/full")) return console.log("\nskipped: a full disk (there is no /dev/full here)");
  // The draft of a checkpoint some steps ahead lies on a device that is always full.
  const { code, err } = await training(
    ["--config", "long.json", "--out", "full"],
    (child) => {
      const last = readFileSync(at("full/metrics.jsonl"), "utf8").trim().split("\n").length;
      for (let step = last + 10; step < last + 60; step++) {
        symlinkSync(
          "/dev/full",
          at("full", `checkpoint-${`${step}`.padStart(7, "0")}.safetensors.${child.pid}.draft`),
        );
      }
    },
    (out) => out.includes("step 1/"),
  );
  assert.is(code, 1);
  const [, step] = /ENOSPC.*The checkpoint of step (\d+) in full is kept\./.exec(err) ?? [];
  assert.ok(step, err);
  const before = checkpoints("full");
  assert.is(before.at(-1), `checkpoint-${step.padStart(7, "0")}.safetensors`);
  for (const name of before) await readTensors(...fileAt(at("full", name)));
  const { out } = await training(["--resume", "full"], terminate, (said) => said.includes("Resumed"));
  assert.match(out, new RegExp(`Resumed full at step ${step} `));
});

test("a file is replaced whole or not at all", async () => {
  const file = at("kept");
  await writeAtomically(file, "before");
  const writing = writeAtomically(file, async (write) => {
    await write(new TextEncoder().encode("half"));
    throw new Error("no space");
  });
  await writing.then(
    () => assert.unreachable(),
    () => {},
  );
  assert.is(readFileSync(file, "utf8"), "before");
  assert.equal(
    readdirSync(dir).filter((name) => name.startsWith("kept.")),
    [],
  );
});

test("a lock is one process's, whatever its file says", async () => {
  mkdirSync(at("locked"));
  // What a killed process leaves, whose number another process has by now.
  writeFileSync(at("locked/lock"), `process ${process.pid} on here`);
  const unlock = await lockFolder(at("locked"), "locked", assert.unreachable);
  await lockFolder(at("locked"), "locked", assert.unreachable).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, new RegExp(`^locked is in use by process ${process.pid} on `)),
  );
  await unlock(at("locked"));
  assert.equal(readdirSync(at("locked")), []);
});

test("folders that were made for nothing go again, others stay", async () => {
  const folder = await RunFolder.make(at("p/q/r"), assert.unreachable);
  writeFileSync(at("p/other"), "");
  await folder.close();
  assert.equal(readdirSync(at("p")), ["other"]);
  await makeFolder("/proc/none/x").then(
    () => assert.unreachable(),
    () => {},
  );
});

test("whether a file can be written is found out without writing it", async () => {
  await writeAtomically(at("written/file"), "as it is");
  await requireWritable(at("written/file"));
  await requireWritable(at("written/in/none/yet"));
  assert.equal(readdirSync(at("written")), ["file"]);
  assert.is(readFileSync(at("written/file"), "utf8"), "as it is");
  for (const [path, code] of [
    [at("written"), "EISDIR"],
    [at("written/file/in"), "ENOTDIR"],
  ] as const)
    await requireWritable(path).then(
      () => assert.unreachable(path),
      (error) => assert.is(error.code, code),
    );
});

test("what is no file stays what it is when it is written to", async () => {
  if (process.platform === "win32") return;
  // A link, so that the device itself is safe from this test.
  symlinkSync("/dev/null", at("null"));
  await requireWritable(at("null"));
  await writeAtomically(at("null"), "into nothing");
  assert.ok(lstatSync(at("null")).isSymbolicLink());
});

test("folders that others make and remove at the same time are made, and locked", async () => {
  const race = async (work: () => Promise<void>) => {
    for (let turn = 0; turn < 40; turn++) await work();
  };
  // In "made" and "made/N" removers meet makers; "kept" is one folder that all make, lock and remove.
  const works = Array.from({ length: 8 }, (_, i) => async () => {
    const made = await makeFolder(at(`race/made/${i}`));
    assert.is(made[0], at(`race/made/${i}`));
    await removeEmpty(made);
    await writeAtomically(at(`race/written/${i}/x`), "x");
    unlinkSync(at(`race/written/${i}/x`));
    await removeEmpty([at(`race/written/${i}`), at("race/written")]);
    const { unlock, ...kept } = await makeLocked(at(`race/own/${i}`), "own", assert.unreachable);
    await unlock(at(`race/own/${i}`));
    await removeEmpty(kept.made);
    const inUse = await makeLocked(at("race/kept"), "kept", assert.unreachable).then(
      async ({ made, unlock }) => {
        await unlock(at("race/kept"));
        return removeEmpty(made);
      },
      (error) => assert.match(error.message, /^kept is in use by /),
    );
    assert.is(inUse, undefined);
  });
  await Promise.all(works.map(race));
});

test("every bit of a seed counts, and small seeds are what they were", async () => {
  const key = (seed: number, step: number) => seedKey(seed) && new RandomStreams(seed, step).stream().key;
  const value = (seed: number, step: number) => (key(seed, step) as { value: number }).value;
  assert.equal([value(1, 0), value(1, 7), value(4294967295, 3)], [90674402, 3505736013, 470123038]);
  const weights = (seed: number) => [
    ...initialValues({ name: "x", shape: [3], initial: { normal: 1 } }, seed),
  ];
  assert.equal(weights(1), [-0.1631578952074051, -0.5202921628952026, -0.17171835899353027]);
  const emoji = await loadEmoji({ size: 8 });
  const batch = (seed: number) => [
    ...emoji.sampleBatch({ pictures: 8, triplets: 8, seed, step: 0 }).pictures,
  ];
  const keys = new Set([seedKey(1)]);
  for (let bit = 1; bit < 53; bit++) {
    const seed = 1 + 2 ** bit;
    assert.not(keys.has(seedKey(seed)), `bit ${bit}`);
    keys.add(seedKey(seed));
    assert.not.equal(weights(seed), weights(1), `bit ${bit}: weights`);
    assert.not.equal(batch(seed), batch(1), `bit ${bit}: batches`);
    assert.is.not(value(seed, 0), value(1, 0), `bit ${bit}: dropout`);
  }
  for (const seed of [2 ** 53, -1, 1.5, Number.NaN]) {
    assert.throws(() => seedKey(seed), /2\^53/);
    assert.throws(() => parseConfig({ ...config, seed }, "x"), /seed/);
  }
  assert.is(parseConfig({ ...config, seed: 2 ** 53 - 1 }, "x").seed, 2 ** 53 - 1);
});

test.after(() => rmSync(dir, { recursive: true }));
test.run();
