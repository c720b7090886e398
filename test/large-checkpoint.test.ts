// Checkpoints beyond 2 GiB, which Node can't read in one piece: written and read tensor by tensor.
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, sizeOf } from "../engine/index.ts";
import { AdamW } from "../kernels/optimizer/adamw.ts";
import { type ParameterSpec, Parameters } from "../model/parameters.ts";
import { CheckpointError, layoutSafetensors, readSafetensors } from "../model/safetensors.ts";
import { loadCheckpoint, saveCheckpoint } from "../train/run/checkpoint.ts";
import { folderStore } from "../train/run/disk.ts";

const engine = await Engine.create({ poison: true });
const dir = mkdtempSync(join(tmpdir(), "casement-large-"));
const store = folderStore(dir);

const specs: ParameterSpec[] = [
  { name: "a.weight", shape: [37, 20], initial: { normal: 1 } },
  { name: "a.bias", shape: [37], initial: { constant: 0.5 } },
  { name: "frozen", shape: [5, 3], initial: { normal: 2 } },
];

async function made(seed: number) {
  const parameters = new Parameters(engine, specs, (name) => name !== "frozen");
  parameters.initialize(seed);
  const optimizer = new AdamW(engine, parameters.flats, { weightDecay: 0.1 });
  for (let step = 0; step < seed; step++) {
    for (const { name, shape } of specs.slice(0, 2)) {
      const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i + step + seed));
      engine.write(parameters.get(name).grad!, values);
    }
    optimizer.advance(0.01);
    engine.scope(() => void optimizer.update());
  }
  await engine.idle();
  return { parameters, optimizer };
}

const stateOf = async ({ parameters, optimizer }: Awaited<ReturnType<typeof made>>) => ({
  values: await parameters.read(),
  moments: await Promise.all(
    [...optimizer.firstMoments, ...optimizer.secondMoments].map((moment) => moment.read()),
  ),
  step: optimizer.step,
});

test("a checkpoint brings parameters and moments back, and holds on to no memory", async () => {
  const [saved, other] = [await made(3), await made(2)];
  const before = engine.stats().usedBytes;
  const file = await saveCheckpoint(store, saved.parameters, saved.optimizer, 12.5);
  const names = [...readSafetensors(readFileSync(join(dir, file))).tensors.keys()].sort();
  assert.equal(names, [
    ...["first.a.bias", "first.a.weight"],
    ...["model.a.bias", "model.a.weight", "model.frozen"],
    ...["second.a.bias", "second.a.weight"],
  ]);
  const position = await loadCheckpoint(store, other.parameters, other.optimizer, assert.unreachable);
  assert.equal(position, { step: 3, seconds: 12.5 });
  assert.equal(await stateOf(other), await stateOf(saved));
  assert.is(engine.stats().usedBytes, before);
  for (const { parameters, optimizer } of [saved, other]) {
    parameters.dispose();
    optimizer.dispose();
  }
  assert.is(engine.stats().usedBytes, 0);
});

test("one of more than 4 GiB is read", async () => {
  const other = await made(2);
  const file = join(dir, "checkpoint-0000003.safetensors");
  const small = readSafetensors(readFileSync(file));
  const tensors = Array.from(small.tensors, ([name, { shape, data }]) => ({
    ...{ name, shape, data: Uint8Array.from(data) },
    dtype: "F32" as const,
  }));
  // In the middle lies something that nobody asks for, as sparse zeros.
  const filler = { name: "model.b", shape: [1_100_000_000], dtype: "F32" as const };
  const { header, ranges } = layoutSafetensors([...tensors, filler], small.metadata ?? {});
  const large = openSync(file, "w");
  writeSync(large, header);
  for (const { name, begin } of ranges) {
    const data = tensors.find((tensor) => tensor.name === name)?.data;
    if (data) writeSync(large, data, 0, data.length, header.length + begin);
  }
  closeSync(large);
  truncateSync(file, header.length + Math.max(...ranges.map(({ end }) => end)));
  assert.ok(statSync(file).size > 2 ** 32);
  const position = await loadCheckpoint(store, other.parameters, other.optimizer, assert.unreachable);
  assert.is(position.step, 3);
  const values = await other.parameters.read();
  for (const { name, data } of tensors) {
    if (!name.startsWith("model.")) continue;
    const wanted = new Float32Array(data.buffer);
    assert.equal(values.get(name.slice("model.".length))!.data, wanted, name);
  }
  other.parameters.dispose();
  other.optimizer.dispose();
});

test("a moment that is missing or of another size is named, with the file", async () => {
  const other = await made(1);
  const wider = new Parameters(
    engine,
    [{ ...specs[0]!, shape: [37, 24] }, ...specs.slice(1)],
    (name) => name !== "frozen",
  );
  wider.initialize(1);
  const optimizer = new AdamW(engine, wider.flats);
  const told: string[] = [];
  await loadCheckpoint(store, wider, optimizer, (message) => told.push(message)).then(
    () => assert.unreachable(),
    (error) => assert.instance(error, CheckpointError),
  );
  assert.match(told[0]!, /checkpoint-0000003\.safetensors: .*first\.a\.weight.* of another size/);
  for (const one of [other, { parameters: wider, optimizer }]) {
    one.parameters.dispose();
    one.optimizer.dispose();
  }
});

test.after(() => {
  engine.dispose();
  rmSync(dir, { recursive: true, force: true });
});

test.run();
