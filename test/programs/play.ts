// Runs a random program on engines and on the model side by side, and tells the first thing that differs.
import { drawInput } from "../../cases/case.ts";
import { Engine, type Program, Scalar, type Tensor, TensorError } from "../../engine/index.ts";
import { backward, clearGrad } from "../../kernels/backward.ts";
import { accumulateInto, clampInPlace } from "../../kernels/elementwise/accumulate.ts";
import { add } from "../../kernels/elementwise/arithmetic.ts";
import { neg } from "../../kernels/elementwise/unary.ts";
import { reshape } from "../../kernels/shape/reshape.ts";
import { shuffle } from "../shuffled.ts";
import { type Expected, errorOf, Model, Refused } from "./model.ts";
import { Draws, operations } from "./operations.ts";
import type { EngineName, Statement } from "./statements.ts";

/** Milliseconds after which something counts as stuck. */
const patience = 60_000;

/** What a program did that it should not have. */
export class Difference extends Error {}

/** Live buffers of a device, counted where they are made and destroyed. */
class Buffers {
  live = 0;

  constructor(device: GPUDevice) {
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor);
      const destroy = buffer.destroy.bind(buffer);
      let here = true;
      this.live++;
      buffer.destroy = () => {
        if (here) this.live--;
        here = false;
        destroy();
      };
      return buffer;
    };
  }
}

/** The engines that programs run on, one program after the other. */
export class Bench {
  readonly failures: string[] = [];

  private constructor(
    readonly engines: Record<EngineName, Engine>,
    private readonly buffers: { A: Buffers; C: Buffers },
  ) {
    for (const { device } of [engines.A, engines.C])
      device.addEventListener("uncapturederror", (event) => this.failures.push(event.error.message));
  }

  static async open(): Promise<Bench> {
    const A = await Engine.create({ poison: true });
    const C = await Engine.create({ without: ["subgroups"] });
    const buffers = { A: new Buffers(A.device), C: new Buffers(C.device) };
    const B = await Engine.create({ device: A.device, poison: true });
    return new Bench({ A, B, C }, buffers);
  }

  async reopen(): Promise<void> {
    this.engines.B.dispose();
    this.engines.B = await Engine.create({ device: this.engines.A.device, poison: true });
  }

  /** Destroys what waits in pools and tells how many buffers are left. */
  async left(): Promise<{ A: number; C: number }> {
    for (const engine of Object.values(this.engines)) await engine.trim();
    return { A: this.buffers.A.live, C: this.buffers.C.live };
  }

  dispose(): void {
    const { A, B, C } = this.engines;
    for (const engine of [B, A, C]) engine.dispose();
  }
}

/** Runs a program. Throws Difference, or what the engine throws. */
export async function play(bench: Bench, program: readonly Statement[], seed: number): Promise<void> {
  const player = new Player(bench, new Draws(seed ^ 0x5bd1e995));
  const before = await player.usage();
  for (const statement of program) await player.step(statement);
  await player.end();
  const after = await player.usage();
  for (const name of ["A", "B", "C"] as const) {
    if (after[name] !== before[name])
      throw new Difference(`${after[name] - before[name]} bytes of engine ${name} were not given back`);
  }
}

interface Pending {
  name: string;
  values: Promise<ArrayLike<number> | Error>;
  expected: Expected;
}

class Player {
  private readonly model = new Model();
  private tensors = new Map<string, Tensor>();
  private readonly programs = new Map<string, Promise<Program<unknown>>>();
  private readonly leaves = new Set<Tensor>();
  private readonly gradients = new Set<Tensor>();
  private readonly pending: Pending[] = [];
  private readonly key = new Scalar(1);

  constructor(
    private readonly bench: Bench,
    private readonly order: Draws,
  ) {}

  async usage(): Promise<Record<EngineName, number>> {
    const { engines } = this.bench;
    const entries = Object.entries(engines).map(([name, engine]) => {
      const { usedBytes, freeBytes, peakBytes, buffers } = engine.stats();
      if (!(usedBytes >= 0 && freeBytes >= 0 && peakBytes >= usedBytes && buffers >= 0))
        throw new Difference(`engine ${name} counts ${JSON.stringify(engine.stats())}`);
      return [name, usedBytes] as const;
    });
    return Object.fromEntries(entries) as Record<EngineName, number>;
  }

  /** One statement, and all that can be said after it. */
  async step(statement: Statement): Promise<void> {
    let expected: Expected | null;
    const restore = this.model.snapshot();
    try {
      expected = this.model.perform(statement);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      restore();
      throw new Refused(error.message);
    }
    const { engines } = this.bench;
    switch (statement.do) {
      case "read": {
        const tensor = this.tensor(statement.of);
        const read = tensor.read().catch((error: Error) => error);
        this.pending.push({ name: statement.of, values: read, expected: expected! });
        if (statement.wait) await this.settle();
        break;
      }
      case "settle":
        await this.settle();
        break;
      case "idle":
      case "trim":
        await soon(engines[statement.engine][statement.do](), statement.do);
        break;
      case "capture": {
        const inputs = Object.fromEntries(statement.inputs.map((name) => [name, this.tensor(name)]));
        const engine = engines[statement.engine];
        const captured = engine.capture(() => this.run(statement.body, statement), inputs);
        captured.catch(() => {});
        this.programs.set(statement.program, captured);
        if (statement.wait) await this.program(statement.program);
        break;
      }
      case "run": {
        const program = await this.program(statement.program);
        const values = Object.entries(statement.values).map(([name, { draw, seed }]) => {
          const tensor = this.tensor(name);
          const drawn = drawInput({ shape: [...tensor.shape], dtype: tensor.dtype, draw }, seed);
          return [name, this.order.chance(0.5) ? drawn : { values: drawn, shape: tensor.shape }] as const;
        });
        // A leaf that had another gradient gets the program's: the other is its owner's to dispose.
        for (const { grad } of this.leaves) if (grad) this.gradients.add(grad);
        if (this.order.chance(0.5)) shuffle(program, (count) => this.order.below(count));
        program.run(Object.fromEntries(values));
        break;
      }
      case "end":
        (await this.program(statement.program)).dispose();
        break;
      case "tune":
      case "prepare": {
        const names = this.tensors;
        this.tensors = new Map(names);
        const engine = engines[statement.engine];
        const done: Promise<unknown> = engine[statement.do](() => {
          this.tensors = new Map(names);
          return this.run(statement.body, statement);
        });
        await soon(done, statement.do);
        this.tensors = names;
        break;
      }
      case "reopen":
        // Reads of an engine that ends are settled one way or the other.
        for (const { values } of this.pending.splice(0)) await soon(values, "a read of an engine that ended");
        await this.bench.reopen();
        for (const [name, { lost }] of this.model.programs) if (lost) this.programs.delete(name);
        break;
      case "misuse":
        await this.misuse(statement);
        break;
      case "misuse of a program": {
        const program = await this.program(statement.program);
        const name = await this.anyInput(program);
        const wrong: Record<typeof statement.how, Record<string, ArrayLike<number>>> = {
          run: {},
          needs: {},
          length: { [name]: new Float32Array(100_003) },
          name: { nobody: [1] },
        };
        await refused(
          `${statement.how} of ${statement.program}`,
          () => program.run(wrong[statement.how]),
          null,
        );
        break;
      }
      case "fail":
        await this.fail(statement);
        break;
      case "refused capture":
        await this.refusedCapture(statement);
        break;
      default:
        this.now(statement);
    }
    if (this.bench.failures.length > 0)
      throw new Difference(`the device reports: ${this.bench.failures.splice(0).join("\n")}`);
  }

  /** Reads all that is there, gives back all that the program made, in some order, and waits for what is under way. */
  async end(): Promise<void> {
    for (const leaf of [...this.model.cells.keys()])
      await this.last({ do: "grad", of: leaf, out: `${leaf}.grad` });
    for (const of of [...this.model.cells.keys()]) await this.last({ do: "read", of, wait: false });
    const chores: (() => void)[] = [];
    for (const tensor of new Set([...this.tensors.values(), ...this.gradients]))
      chores.push(() => tensor.dispose());
    for (const program of this.programs.values()) {
      const done = await soon(program, "capture");
      chores.push(() => done.dispose());
    }
    for (const leaf of this.leaves) chores.push(() => clearGrad([leaf]));
    while (chores.length > 0) chores.splice(this.order.below(chores.length), 1)[0]!();
    await this.settle();
    for (const [name, engine] of Object.entries(this.bench.engines)) {
      await soon(engine.idle(), `idle of ${name}`);
      const value = engine.tensor([17], [1]);
      const [got] = await soon(value.read(), "a read at the end");
      if (got !== 17) throw new Difference(`engine ${name} wrote 17 and reads ${got}`);
      value.dispose();
    }
  }

  /** A statement of the end, where the model takes it. */
  private async last(statement: Statement): Promise<void> {
    try {
      await this.step(statement);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }

  /** A statement that is done at once. */
  private now(s: Statement): void {
    const { tensors } = this;
    switch (s.do) {
      case "input": {
        const tensor = this.engine(s.engine).tensor(drawInput(s, s.seed), s.shape, s.dtype);
        tensor.requiresGrad = s.grad;
        if (s.grad) this.leaves.add(tensor);
        tensors.set(s.out, tensor);
        break;
      }
      case "zeros":
        tensors.set(s.out, this.engine(s.engine).zeros(s.shape, s.dtype));
        break;
      case "op": {
        const operation = operations[s.op]!;
        const opCase = operation.make(s.spec, this.key);
        const inputs = s.inputs.map((name) => this.tensor(name));
        const engine = inputs[0]!.engine as Engine;
        const run = () => opCase.run(inputs, engine);
        // Outside of functions nobody gives back what an operation keeps for backward.
        const loose = this.depth === 0;
        const output = !loose ? run() : operation.lean ? engine.scope(run) : engine.inference(run);
        this.expect(s.out, output, s.shape, s.dtype);
        break;
      }
      case "reshape":
        this.expect(s.out, reshape(this.tensor(s.of), s.shape), s.shape, null);
        break;
      case "slice": {
        const of = this.tensor(s.of);
        this.expect(s.out, of.engine.slice(of, s.start, s.shape), s.shape, of.dtype);
        break;
      }
      case "write": {
        const to = this.tensor(s.to);
        to.engine.write(to, drawInput({ shape: [...to.shape], dtype: to.dtype, draw: s.draw }, s.seed));
        break;
      }
      case "clear": {
        const to = this.tensor(s.to);
        to.engine.clear(to);
        break;
      }
      case "clamp":
        clampInPlace(this.tensor(s.to), s.low, s.high);
        break;
      case "copy": {
        const to = this.tensor(s.to);
        to.engine.copy(this.tensor(s.from), to);
        break;
      }
      case "accumulate":
        accumulateInto(this.tensor(s.to), this.tensor(s.from));
        break;
      case "scope":
      case "inference":
        this.engine(s.engine)[s.do](() => this.run(s.body, s));
        break;
      case "checkpoint": {
        const names = this.tensors;
        const result = this.engine(s.engine).checkpoint(() => {
          // It runs again in backward: what it names inside is its own each time.
          const now = this.tensors;
          this.tensors = new Map(names);
          try {
            this.runAll(s.body);
            return this.tensor(s.out);
          } finally {
            this.tensors = now;
          }
        });
        this.tensors.set(s.out, result);
        break;
      }
      case "backward": {
        const of = this.tensor(s.of);
        const { engine, shape, dtype } = of;
        engine.scope(() => {
          if (s.seed === null) backward(of);
          else {
            const values = drawInput({ shape: [...shape], dtype }, s.seed);
            backward(of, { grad: engine.tensor(values, shape, dtype) });
          }
        });
        break;
      }
      case "clearGrad":
        clearGrad([this.tensor(s.of)]);
        break;
      case "grad": {
        const { grad } = this.tensor(s.of);
        if (!grad) throw new Difference(`${s.of}.grad is null`);
        tensors.set(s.out, grad);
        break;
      }
      case "keep": {
        const of = this.tensor(s.of);
        of.engine.keep(of);
        break;
      }
      case "dispose":
        this.tensor(s.of).dispose();
        break;
      case "flush":
        this.engine(s.engine).flush();
        break;
      case "seek":
        this.key.value = s.key;
        break;
      default:
        throw new Error(`${s.do} can't be done within a function`);
    }
  }

  private depth = 0;

  private runAll(body: readonly Statement[]): void {
    this.depth++;
    try {
      for (const statement of body) this.now(statement);
    } finally {
      this.depth--;
    }
  }

  /** Runs a function's body and returns what it returns. */
  private run(body: readonly Statement[], { returns, form }: { returns: string[]; form: string }): unknown {
    this.runAll(body);
    const tensors = returns.map((name) => this.tensor(name));
    if (form === "one") return tensors[0];
    return form === "list" ? tensors : Object.fromEntries(returns.map((name, i) => [name, tensors[i]]));
  }

  private expect(name: string, tensor: Tensor, shape: readonly number[], dtype: string | null): void {
    if (`${tensor.shape}` !== `${shape}` || (dtype !== null && tensor.dtype !== dtype))
      throw new Difference(`${name} is ${tensor}, not ${dtype}[${shape}]`);
    this.tensors.set(name, tensor);
  }

  private async settle(): Promise<void> {
    for (const { name, values, expected } of this.pending.splice(0)) {
      const got = await soon(values, `read of ${name}`);
      if (got instanceof Error) throw got;
      const error = errorOf(got, expected.values);
      if (!(error <= expected.tolerance)) {
        const at = expected.values.findIndex(
          (value, i) => !(Math.abs(got[i]! - value) <= 0.01 * (Math.abs(value) + 0.01)),
        );
        const show = (values: ArrayLike<number>) =>
          Array.from(values)
            .slice(0, 8)
            .map((x) => x.toPrecision(6))
            .join(" ");
        throw new Difference(
          `${name} is off by ${error.toExponential(2)}, allowed ${expected.tolerance.toExponential(2)}, first at ${at}:\n` +
            `  got      ${show(got)}\n  expected ${show(expected.values)}`,
        );
      }
    }
  }

  private async misuse(s: Extract<Statement, { do: "misuse" }>): Promise<void> {
    const tensor = this.tensor(s.of);
    const other = s.other === undefined ? tensor : this.tensor(s.other);
    const { engine } = tensor;
    const wrong: Record<typeof s.how, () => unknown> = {
      read: () => tensor.read(),
      use: () => engine.scope(() => neg(tensor)),
      write: () => engine.write(tensor, new Float32Array(tensor.size)),
      copy: () => engine.copy(tensor, other),
      view: () => engine.view(tensor, [tensor.size]),
      clear: () => engine.clear(tensor),
      "slice past the end": () => engine.slice(tensor, 64, [tensor.size]),
      misfit: () => engine.scope(() => add(tensor, other)),
      "no gradient": () => backward(tensor, { grad: tensor }),
      foreign: () => engine.scope(() => add(tensor, other)),
      constant: () => engine.write(tensor, new Float32Array(tensor.size)),
      early: () => tensor.read(),
      "too early": () =>
        engine.scope(() => {
          neg(tensor);
        }),
    };
    const names = ["read", "use", "write", "copy", "view", "clear"].includes(s.how) ? `${tensor}` : null;
    await refused(`"${s.how}" with ${s.of}`, wrong[s.how], names, s.how === "too early");
  }

  private async fail(s: Extract<Statement, { do: "fail" }>): Promise<void> {
    const engine = this.engine(s.engine);
    const names = this.tensors;
    this.tensors = new Map(names);
    class Own extends Error {}
    let got: unknown = "nothing";
    try {
      await engine[s.within]((): Tensor => {
        this.runAll(s.body);
        throw new Own();
      });
    } catch (error) {
      got = error;
    }
    // What the body kept is there all the same, unless it was only taken down.
    if (s.within === "capture" || s.within === "tune") this.tensors = names;
    if (!(got instanceof Own))
      throw new Difference(`${s.within} does not pass on its function's error, but: ${got}`);
  }

  private async refusedCapture({
    how,
    engine,
    of,
  }: Extract<Statement, { do: "refused capture" }>): Promise<void> {
    const tensor = this.tensor(of);
    const into = this.engine(engine);
    const ready = [...this.programs.entries()].filter(([name]) => {
      const program = this.model.programs.get(name)!;
      return program.engine === engine && !program.ended && !program.lost && program.inputs.length === 0;
    });
    const program = await ready[0]?.[1];
    const wrong: Record<typeof how, (() => unknown) | null> = {
      reads: () => {
        tensor.read();
      },
      writes: () => into.write(tensor, new Float32Array(tensor.size)),
      "is async": async () => neg(tensor),
      "runs a program": program ? () => program.run() : null,
    };
    const step = wrong[how];
    if (step) await refused(`a step that ${how}`, () => into.capture(step), null);
  }

  private async anyInput(program: Program<unknown>): Promise<string> {
    for (const [name, promise] of this.programs)
      if ((await promise) === program) return this.model.programs.get(name)!.inputs[0] ?? "none";
    return "none";
  }

  private async program(name: string): Promise<Program<unknown>> {
    return soon(this.programs.get(name)!, `capture of ${name}`);
  }

  private engine(name: EngineName): Engine {
    return this.bench.engines[name];
  }

  private tensor(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new Error(`the player has no ${name}`);
    return tensor;
  }
}

/** Expects a TensorError, from a throw or from a promise, whose message has `name` in it; with `perhaps`, or none. */
async function refused(
  what: string,
  work: () => unknown,
  name: string | null,
  perhaps = false,
): Promise<void> {
  let got: unknown = "nothing was thrown";
  try {
    await soon(Promise.resolve(work()), what);
    if (perhaps) return;
  } catch (error) {
    got = error;
  }
  if (!(got instanceof TensorError)) throw new Difference(`${what} should be a TensorError: ${got}`);
  if (name !== null && !got.message.includes(name))
    throw new Difference(`${what}: the error does not name ${name}: ${got.message}`);
}

/** What a promise comes to; a Difference where it stays open. */
async function soon<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Difference(`${what} never settled`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
