// Dispatches that run as one: the bits of each by itself, no more memory than there is room for, and as few for a training
// step of emoji-tiny as are promised.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allKernels } from "../cases/kernels.ts";
import { defineKernel, Engine, normal, type Tensor } from "../engine/index.ts";
import { formOf, roomForBundles } from "../engine/run/bundle.ts";
import { independent, type Life, type Node, neighbours, type Range } from "../engine/run/neighbours.ts";
import { barriersOf, type Piece, summaryOf, type Touched, waitsOf } from "../engine/run/waits.ts";
import { backward } from "../kernels/backward.ts";
import { add, mul } from "../kernels/elementwise/arithmetic.ts";
import { layernorm } from "../kernels/layernorm/layernorm.ts";
import { linear, matmul } from "../kernels/matmul/matmul.ts";
import { normalize } from "../kernels/normalize/normalize.ts";
import { sum } from "../kernels/reduce/reduce.ts";
import { slice } from "../kernels/shape/slice.ts";
import { linearSpecs, normSpecs, Parameters } from "../model/parameters.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { makeModel } from "../train/loop/trainer.ts";
import { blankSet } from "../train/run/blank.ts";
import { loadConfig } from "../train/run/config-file.ts";
import { makeTrainer } from "../train/run/trainer.ts";
import { needsOf, shuffle } from "./shuffled.ts";

const random = (stream: number, count: number) =>
  Float32Array.from({ length: count }, (_, i) => normal({ key: 3, stream }, i));

/** How much each kernel is dispatched in a step that is recorded by itself and in one that is captured. */
async function compare(engine: Engine, width: number): Promise<[number, number]> {
  const names = ["one", "two", "three"];
  const parameters = new Parameters(
    engine,
    names.flatMap((name) => [
      ...linearSpecs(`${name}.first`, width, width, { normal: 0.5 }),
      ...normSpecs(`${name}.norm`, width),
      ...linearSpecs(`${name}.second`, 2 * width, width, { normal: 0.5 }),
    ]),
  );
  parameters.initialize(4);
  const valuesOf = (i: number, stream = i) => random(stream, (5 + 4 * i) * width);
  const inputs = names.map((_, i) => engine.tensor(valuesOf(i), [5 + 4 * i, width]));
  /** Networks of one kind on different numbers of rows, none of which waits for another. */
  const step = () => {
    const parts = names.map((name, i) => {
      const p = (which: string) => parameters.get(`${name}.${which}`);
      const hidden = linear(inputs[i]!, p("first.weight"), { bias: p("first.bias"), gelu: true });
      const normed = layernorm(hidden, p("norm.weight"), p("norm.bias"));
      const rows = normalize(linear(normed, p("second.weight"), { bias: p("second.bias") }));
      const some = slice(rows, [[1, 4]]);
      return sum(mul(matmul(some, rows, { transposeB: true }), 0.5));
    });
    const loss = add(add(parts[0]!, parts[1]!), parts[2]!);
    parameters.renewGradients(() => backward(loss));
    return { loss };
  };
  const read = async (loss: Tensor) => [
    ...(await loss.read()),
    ...(await Promise.all(parameters.flats.map(({ gradient }) => gradient.read()))).flatMap((all) => [
      ...all,
    ]),
  ];
  const before = engine.stats().dispatches;
  const { loss } = engine.scope(step);
  const alone = engine.stats().dispatches - before;
  const expected = await read(loss);
  assert.ok(expected.every(Number.isFinite) && expected.some((value) => value !== 0));
  const program = await engine.capture(step);
  for (let run = 0; run < 2; run++) {
    for (const { gradient } of parameters.flats) engine.clear(gradient);
    program.run();
    assert.equal(await read(program.outputs.loss), expected, `rows of ${width}, run ${run}`);
  }
  const again = async (stream: (i: number) => number, needs?: ReadonlySet<number>[]) => {
    inputs.forEach((input, i) => {
      engine.write(input, valuesOf(i, stream(i)));
    });
    // Later commands first, as far as they don't wait.
    shuffle(program, (count) => count - 1, needs);
    for (const { gradient } of parameters.flats) engine.clear(gradient);
    program.run();
    return read(program.outputs.loss);
  };
  const own = (i: number) => i;
  assert.equal(await again(own), expected, `rows of ${width}, in another order`);
  // Where one wait is left out, something of the replay before is read.
  assert.not.equal(await again((i) => i + 10), expected);
  const needs = needsOf(program);
  const last = needs.findLastIndex((others) => others.size > 0);
  const missing = needs.map((others, i) => (i === last ? new Set<number>() : others));
  assert.not.equal(await again(own, missing), expected, `rows of ${width}, without what ${last} waits for`);
  assert.equal(await again(own), expected);
  const { dispatches } = program;
  program.dispose();
  parameters.dispose();
  return [alone, dispatches];
}

/** Orders and plans differ where the adapter is the processor itself. */
function countAsSoftware(engine: Engine, software: boolean): void {
  Object.defineProperty(engine, "isSoftware", { value: software });
}

for (const [without, width, software] of [
  [[], 8, true],
  [["subgroups"], 7, false],
] as const) {
  const title = `three networks at once${without.length > 0 ? ", without subgroups, as on a GPU" : ""}`;
  test(`${title}: the bits of each by itself, in fewer dispatches`, async () => {
    const engine = await Engine.create({ without, poison: true });
    countAsSoftware(engine, software);
    const [alone, together] = await compare(engine, width);
    console.log(`rows of ${width}: ${alone} dispatches, ${together} in bundles`);
    assert.ok(together < 0.8 * alone, `${together} of ${alone}`);
    engine.dispose();
  });
}

test("commands change places only with those that they don't wait for, and little more is held at one time", () => {
  const draw = (i: number, below: number) =>
    Math.floor(Math.abs(normal({ key: 5, stream: 1 }, i)) * 1e6) % below;
  const storages = 40;
  const range = (i: number): Range => {
    const begin = draw(i, 3);
    return { storage: draw(i + 1, storages), begin, end: begin + 1 + draw(i + 2, 2) };
  };
  const nodes = Array.from({ length: 120 }, (_, i): Node => {
    const kind = draw(20 * i, 5);
    return {
      reads: [range(20 * i + 1), range(20 * i + 4)],
      writes: [range(20 * i + 7)],
      kind: kind < 3 ? `${kind}` : null,
    };
  });
  const lives = Array.from(
    { length: storages },
    (_, i): Life => ({ bytes: draw(3000 + i, 50), early: false, late: i % 9 === 0 }),
  );
  const runs = (order: readonly number[]) =>
    order.filter((node, i) => i === 0 || nodes[node]!.kind !== nodes[order[i - 1]!]!.kind).length;
  const old = nodes.map((_, i) => i);
  const kept = (order: readonly number[]) =>
    order.every((a, i) => order.slice(i + 1).every((b) => a < b || independent(nodes[a]!, nodes[b]!)));
  const [near, wide] = [false, true].map((far) => neighbours(nodes, lives, () => 100, far)) as [
    number[],
    number[],
  ];
  for (const order of [near, wide]) {
    assert.equal(
      order.toSorted((a, b) => a - b),
      old,
    );
    assert.ok(kept(order));
  }
  assert.ok(runs(near) < runs(old) && runs(wide) <= runs(near), `${[old, near, wide].map(runs)} runs`);
  // A need that is not told breaks it.
  const dropped = nodes.map((node) => ({ ...node, reads: [] }));
  assert.not.ok(kept(neighbours(dropped, lives, () => 1e9, true)));
  const far = (reads: number[], writes: number[], kind: string | null): Node => ({
    reads: reads.map((storage) => ({ storage, begin: 0, end: 1 })),
    writes: writes.map((storage) => ({ storage, begin: 0, end: 1 })),
    kind,
  });
  // What waits for a command goes with it, and what another waits for.
  const pair = [far([0], [1], "sum"), far([1], [2], null), far([0], [3], null), far([3], [4], "sum")];
  const alike = pair.map((): Life => ({ bytes: 1, early: false, late: true }));
  const ordered = (far: boolean) => neighbours(pair, [...alike, alike[0]!], () => 1, far);
  assert.equal(
    [ordered(false), ordered(true)],
    [
      [0, 1, 2, 3],
      [2, 0, 3, 1],
    ],
  );
  // Without any room nothing that makes something live longer moves.
  const chain = [far([0], [1], null), far([1], [2], "sum"), far([0], [3], null), far([3], [4], "sum")];
  const sized = [10, 9, 1, 9, 1].map((bytes): Life => ({ bytes, early: false, late: bytes === 1 }));
  assert.equal(
    neighbours(chain, sized, () => 0, true),
    [0, 1, 2, 3],
  );
  assert.equal(
    neighbours(chain, sized, () => 9, true),
    [0, 2, 1, 3],
  );
});

test("a training step of emoji-tiny is at most 120 dispatches, and fewer on a GPU, with few waits", async () => {
  const config = await loadConfig("train/configs/emoji-tiny.json");
  const tokenizer = new Tokenizer([...specialTokens, "a"]);
  const found: number[] = [];
  for (const software of [true, false]) {
    const engine = await Engine.create();
    countAsSoftware(engine, software);
    const model = makeModel(engine, config, tokenizer.size);
    const trainer = makeTrainer(engine, model, tokenizer, blankSet(config), config);
    // Nothing has to compile to be counted.
    (engine as unknown as { pipelines: { planning: boolean } }).pipelines.planning = true;
    const { program } = await trainer.prepare();
    const { replay, ...waits } = program.waits();
    const { dispatches, memory } = program;
    const told = JSON.stringify({ software, dispatches, memory, ...waits });
    console.log(told);
    // Ten more are copies and clears.
    assert.ok(dispatches <= 120 && waits.barriers <= 130 && waits.depth <= 112, told);
    assert.ok(memory.planned < 1.12 * memory.least, told);
    assert.is(replay.filter(({ launch }) => launch !== null).length, dispatches);
    found.push(dispatches);
    engine.dispose();
  }
  assert.ok(found[1]! < found[0]!, `${found}`);
});

test("bundles cost a GPU at most a quarter of a step's memory, and 16 MiB, and a processor little", () => {
  const MiB = 2 ** 20;
  const rooms = (least: number) => [roomForBundles(least, false), roomForBundles(least, true)];
  assert.equal(
    [rooms(48 * MiB), rooms(400 * MiB)],
    [
      [12 * MiB, 2 * MiB],
      [16 * MiB, MiB / 8],
    ],
  );
});

test("barriers come as Dawn places them: by buffer, for a use after a write and for every write", () => {
  const piece = (buffer: string, begin = 0) => ({
    buffer,
    storage: `${buffer}${begin}`,
    begin,
    end: begin + 1,
  });
  const command = (reads: Piece[], writes: Piece[], how: Touched["how"] = "dispatch"): Touched => ({
    ...{ how, whole: {}, reads, writes },
  });
  const commands = [
    command([piece("weights")], [piece("a")]),
    // Nothing else uses this buffer, but the replay before did.
    command([piece("weights")], [piece("b")]),
    command([piece("a"), piece("b")], []),
    command([piece("a")], []),
    // Read already, but not by copies.
    command([piece("a")], [], "copy"),
    command([piece("weights")], [], "copy"),
    command([], [piece("a", 1)]),
  ];
  assert.equal(barriersOf(commands), [true, true, true, false, true, false, true]);
  const waits = waitsOf(commands);
  assert.equal(
    waits.map(({ results }) => results),
    [[], [], [1, 0], [0], [0], [], []],
  );
  assert.equal(
    waits.flatMap(({ places }) => places),
    [],
  );
  const { barriers, needed, depth } = summaryOf(commands, waits);
  assert.equal([barriers, needed, depth], [5, 1, 2]);
  // Parts of one dispatch write what the binding of the whole shows.
  const part = command([], [piece("a")]);
  assert.equal(waitsOf([part, part, command([], [piece("a")])])[1]!.results, []);
  // The memory of one tensor becomes another's.
  const next = { ...piece("a"), storage: "next" };
  const reused = [...commands, command([piece("weights")], [next])];
  assert.equal(waitsOf(reused)[7]!.places, [4, 3, 2]);
  const whole = summaryOf(reused, waitsOf(reused));
  assert.equal([whole.depth, whole.depthOfResults], [3, 2]);
});

test("a kernel whose function indexes a variable named as a tensor is refused, not computed from other numbers", () => {
  const kernel = (helper: string) =>
    defineKernel({
      ...{ name: "own", bindings: ["x: f32", "+y: f32"], bundles: true },
      source: `${helper}
@compute @workgroup_size(16)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) id: u32) {
  y [id] = first(vec4f(x[id], 7.0, 8.0, 9.0));
}`,
    });
  const hidden = /own: a kernel with bundles can't index a variable named x/;
  assert.throws(() => formOf(kernel("fn first(x: vec4f) -> f32 { return x[0]; }"), []), hidden);
  assert.throws(() => formOf(kernel("fn first(v: vec4f) -> f32 { var x = v; return x[0]; }"), []), hidden);
  const { source } = formOf(kernel("fn first(v: vec4f) -> f32 { return v[0]; }"), []);
  assert.match(source, /y\[params\.yBegins \+ id\] = first\(params, vec4f\(x\[params\.xBegins \+ id\]/);
  for (const one of allKernels) if (one.bundles) formOf(one, []);
});

test.run();
