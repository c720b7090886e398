// Makes random programs: proposes one statement after the other and keeps those that the model takes.
import type { DType } from "../../engine/index.ts";
import { type Cell, frameOf, Model, Refused } from "./model.ts";
import { Draws, operations, type View, type Wanted } from "./operations.ts";
import type { EngineName, Form, Misuse, Statement } from "./statements.ts";

export interface Possible {
  /** Whether tensors may be f16. */
  halves: boolean;
}

type Function = Extract<Statement, { body: Statement[] }>;
/** What may happen within a function, by its kind. */
type Place = "top" | "scope" | "checkpoint" | "step";

const misuses: Misuse[] = [
  "read",
  "use",
  "write",
  "copy",
  "view",
  "clear",
  "slice past the end",
  "misfit",
  "no gradient",
  "foreign",
  "constant",
  "early",
  "too early",
];

/** The program of a seed. */
export function generate(seed: number, possible: Possible): Statement[] {
  return new Generator(seed, possible).program();
}

class Generator {
  private readonly draws: Draws;
  private readonly model = new Model();
  private readonly list: Statement[] = [];
  private readonly engines: EngineName[];
  private nextName = 0;
  private readonly leaves: string[] = [];

  constructor(
    seed: number,
    private readonly possible: Possible,
  ) {
    this.draws = new Draws(seed);
    this.engines = this.draws.pick<EngineName[]>([
      ["A"],
      ["A"],
      ["A"],
      ["A", "B"],
      ["C"],
      ["A", "C"],
      ["A", "B", "C"],
    ]);
  }

  program(): Statement[] {
    const count = 6 + this.draws.below(24);
    for (let i = 0; i < count; i++) this.top();
    return this.list;
  }

  /** Adds a statement where the model takes it. */
  private attempt<S extends Statement>(
    statement: S,
    to: Statement[],
    perform: (statement: S) => void = () => this.model.perform(statement),
  ): boolean {
    const restore = this.model.snapshot();
    try {
      perform(statement);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      restore();
      return false;
    }
    to.push(statement);
    return true;
  }

  private top(): void {
    const { draws, list } = this;
    const engine = draws.pick(this.engines);
    const any = () => draws.pick([...this.model.cells.keys(), "none"]);
    const program = () => draws.pick([...this.model.programs.keys(), "none"]);
    const what = draws.weighted({
      values: 22,
      read: 12,
      scope: 9,
      capture: 9,
      run: 14,
      end: 3,
      grad: 6,
      dispose: 5,
      misuse: 9,
      wait: 5,
      rehearse: 1.2,
      fail: 2.5,
      refused: 1.5,
      reopen: this.engines.includes("B") ? 1.2 : 0,
    });
    switch (what) {
      case "values":
        this.value("top", engine, list);
        break;
      case "read":
        this.attempt({ do: "read", of: this.some(engine), wait: draws.chance(0.4) }, list);
        break;
      case "scope":
        this.body(
          { do: draws.chance(0.8) ? "scope" : "inference", engine, body: [], returns: [], form: "list" },
          "scope",
        );
        break;
      case "capture":
        this.body(
          {
            do: "capture",
            program: this.name("p"),
            engine,
            body: [],
            returns: [],
            form: "list",
            inputs: [],
            wait: draws.chance(0.6),
          },
          "step",
        );
        break;
      case "run":
        this.run(program());
        break;
      case "end":
        this.attempt({ do: "end", program: program() }, list);
        break;
      case "grad":
        this.gradient("top", list);
        break;
      case "dispose":
        this.attempt({ do: "dispose", of: any() }, list);
        break;
      case "misuse": {
        if (draws.chance(0.25)) {
          const how = draws.pick(["run", "length", "name", "needs"] as const);
          this.attempt({ do: "misuse of a program", how, program: program() }, list);
          break;
        }
        // Most tensors that are gone are not at hand by chance.
        for (let i = 0; i < 8; i++) {
          const how = draws.pick(misuses);
          const other = ["copy", "misfit", "foreign"].includes(how) ? any() : undefined;
          if (this.attempt({ do: "misuse", how, of: any(), ...(other ? { other } : {}) }, list)) break;
        }
        break;
      }
      case "wait":
        this.attempt(
          draws.pick<Statement>([
            { do: "settle" },
            { do: "flush", engine },
            { do: "idle", engine },
            { do: "trim", engine },
            { do: "seek", key: 1 + draws.below(1000) },
          ]),
          list,
        );
        break;
      case "rehearse": {
        const kind = draws.chance(0.3) ? "tune" : "prepare";
        this.body({ do: kind, engine, body: [], returns: [], form: "list" }, "step");
        break;
      }
      case "fail": {
        const within = draws.pick(["scope", "inference", "checkpoint", "capture", "tune"] as const);
        this.body({ do: "fail", within, engine, body: [] }, within === "checkpoint" ? "checkpoint" : "step");
        break;
      }
      case "refused": {
        const how = draws.pick(["reads", "writes", "is async", "runs a program"] as const);
        this.attempt({ do: "refused capture", how, engine, of: this.some(engine) }, list);
        break;
      }
      case "reopen":
        this.attempt({ do: "reopen" }, list);
        break;
    }
  }

  /** Runs of a captured step, and looks at what comes of them. */
  private run(program: string): void {
    const { draws, list, model } = this;
    const times = draws.pick([1, 1, 1, 2, 3]);
    for (let i = 0; i < times; i++) {
      const inputs = model.programs.get(program)?.inputs ?? [];
      const values = Object.fromEntries(
        inputs.flatMap((input) => {
          const draw = model.cells.get(input)?.draw ?? "normal";
          return draws.chance(0.6) ? [[input, { draw, seed: this.seed() }] as const] : [];
        }),
      );
      if (!this.attempt({ do: "run", program, values }, list)) return;
      if (draws.chance(0.6))
        this.attempt({ do: "read", of: this.madeBy(program), wait: draws.chance(0.4) }, list);
      if (i + 1 < times && draws.chance(0.5)) this.attempt({ do: "seek", key: 1 + draws.below(1000) }, list);
    }
    this.readGradients();
  }

  /** Reads of gradients that are there. */
  private readGradients(): void {
    const { draws, list, model } = this;
    for (const leaf of this.leaves) {
      const grad = model.cells.get(leaf)?.grad;
      if (!grad?.memory.defined || grad.disposed || model.gone(grad) || draws.chance(0.5)) continue;
      const out = this.name("g");
      if (this.attempt({ do: "grad", of: leaf, out }, list))
        this.attempt({ do: "read", of: out, wait: draws.chance(0.4) }, list);
    }
  }

  /** A statement that makes or changes values. */
  private value(place: Place, engine: EngineName, to: Statement[]): void {
    const { draws } = this;
    const what = draws.weighted({
      op: 30,
      input: place === "top" ? 3 : 0.5,
      zeros: 1,
      reshape: 3,
      slice: 2,
      ...(place === "checkpoint" ? {} : { clear: 0.5, clamp: 1, copy: 4, accumulate: 3, gather: 2, move: 3 }),
      ...(place === "top" || place === "scope" ? { write: 4 } : {}),
    });
    switch (what) {
      case "input":
        this.input(place, engine, to);
        break;
      case "zeros":
        this.attempt({ do: "zeros", out: this.name(), engine, shape: this.shape(), dtype: this.dtype() }, to);
        break;
      case "reshape": {
        const cell = this.model.cells.get(this.some(engine));
        if (cell)
          this.attempt(
            { do: "reshape", out: this.name(), of: cell.name, shape: this.reshaped(cell.shape) },
            to,
          );
        break;
      }
      case "slice": {
        const large = this.model.available(engine).filter(({ shape }) => sizeOf(shape) > 70);
        if (large.length === 0) break;
        const { name, shape } = draws.pick(large);
        const start = 64 * draws.below(1 + Math.floor(sizeOf(shape) / 64));
        this.attempt(
          { do: "slice", out: this.name(), of: name, start, shape: [1 + draws.below(sizeOf(shape) - start)] },
          to,
        );
        break;
      }
      case "move":
        this.move(place, engine, to);
        break;
      case "gather":
        this.gather(engine, to);
        break;
      case "write": {
        const of = this.model.cells.get(this.some(engine));
        if (of) this.attempt({ do: "write", to: of.name, draw: of.draw ?? "normal", seed: this.seed() }, to);
        break;
      }
      case "clear":
        this.attempt({ do: "clear", to: this.some(engine) }, to);
        break;
      case "clamp":
        this.attempt({ do: "clamp", to: this.some(engine), low: -0.75, high: draws.pick([0.5, 1.25]) }, to);
        break;
      case "copy":
      case "accumulate": {
        const from = this.model.cells.get(this.some(engine));
        if (!from) break;
        const fitting = this.model
          .available(engine)
          .filter(
            (cell) =>
              cell.memory !== from.memory &&
              cell.dtype === from.dtype &&
              sizeOf(cell.shape) === sizeOf(from.shape),
          );
        if (fitting.length > 0) this.attempt({ do: what, from: from.name, to: draws.pick(fitting).name }, to);
        break;
      }
      case "op":
        this.operation(place, engine, to);
        break;
    }
  }

  /** Copies what was just made to where it belongs, and perhaps goes on with either. */
  private move(place: Place, engine: EngineName, to: Statement[]): void {
    const { draws, model } = this;
    const { length } = to;
    this.operation(place, engine, to);
    const made = to.length > length ? model.available(engine).at(-1) : null;
    if (!made || made.dtype === "u32") return;
    const { name, shape, dtype } = made;
    const fitting = model
      .available(engine)
      .filter(
        (cell) => cell.dtype === dtype && cell.memory !== made.memory && sizeOf(cell.shape) === sizeOf(shape),
      );
    const target =
      draws.chance(0.6) && fitting.length > 0
        ? draws.pick(fitting).name
        : this.newInput(place, engine, shape, dtype, "normal", to);
    if (!target || !this.attempt({ do: "copy", from: name, to: target }, to)) return;
    if (draws.chance(0.3)) this.attempt({ do: "clamp", to: target, low: -0.25, high: 0.25 }, to);
    if (draws.chance(0.3)) {
      const spec = { fn: "scale", shape, dtype };
      const x = draws.pick([name, target]);
      const out = this.name();
      this.attempt({ do: "op", out, op: "unary", spec, inputs: [x], shape, dtype }, to);
    }
    if (draws.chance(0.6)) this.attempt({ do: "dispose", of: name }, to);
  }

  /** Puts tensors side by side into one, as a flat buffer of gradients has them. */
  private gather(engine: EngineName, to: Statement[]): void {
    const { draws } = this;
    const parts = this.model.available(engine).slice(-4);
    const part = parts.length > 0 ? draws.pick(parts) : null;
    if (!part || part.dtype === "u32" || sizeOf(part.shape) > 256) return;
    const room = 128 * Math.ceil(sizeOf(part.shape) / 128);
    const all = this.name();
    const { dtype } = part;
    if (!this.attempt({ do: "zeros", out: all, engine, shape: [2 * room + 4], dtype }, to)) return;
    for (const start of draws.pick([[0], [room], [0, room], [room, 0]])) {
      const out = this.name();
      const last = this.model.available(engine).slice(-6);
      const fitting = last.filter(
        (cell) => cell.dtype === dtype && sizeOf(cell.shape) === sizeOf(part.shape),
      );
      if (!this.attempt({ do: "slice", out, of: all, start, shape: [sizeOf(part.shape)] }, to)) return;
      if (draws.chance(0.5)) this.value("step", engine, to);
      if (fitting.length > 0) this.attempt({ do: "copy", from: draws.pick(fitting).name, to: out }, to);
    }
  }

  private operation(place: Place, engine: EngineName, to: Statement[]): void {
    const { draws, model } = this;
    const floats = model.available(engine).filter(({ dtype }) => dtype !== "u32");
    if (floats.length === 0) {
      this.input(place, engine, to);
      return;
    }
    // New tensors more often than old ones: chains come of it.
    const recent = draws.chance(0.6) ? floats.slice(-3) : floats;
    const x: View = draws.pick(recent);
    const kind = draws.pick(Object.keys(operations));
    if (kind === "cast" && !this.possible.halves) return;
    const proposal = operations[kind]!.propose(draws, x);
    if (!proposal || sizeOf(proposal.shape) > 600) return;
    const restore = model.snapshot();
    const [outer, inner] = [this.list.length, to.length];
    const inputs: string[] = [];
    for (const input of proposal.inputs) {
      const name = "name" in input ? input.name : this.wanted(place, engine, input, to);
      if (name !== null) inputs.push(name);
    }
    const { spec, shape, dtype } = proposal;
    const statement: Statement = { do: "op", out: this.name(), op: kind, spec, inputs, shape, dtype };
    if (inputs.length === proposal.inputs.length && this.attempt(statement, to)) return;
    restore();
    this.list.length = outer;
    to.length = to === this.list ? outer : inner;
  }

  /** A tensor for an operation: one that is there, or a new one. */
  private wanted(place: Place, engine: EngineName, wanted: Wanted, to: Statement[]): string | null {
    const { draws } = this;
    const { shape, dtype, draw = "normal" } = wanted;
    if (draw === "normal" && draws.chance(0.5)) {
      const fitting = this.model
        .available(engine)
        .filter((cell) => cell.dtype === dtype && `${cell.shape}` === `${shape}`);
      if (fitting.length > 0) return draws.pick(fitting).name;
    }
    return this.newInput(place, engine, shape, dtype, draw, to);
  }

  private input(place: Place, engine: EngineName, to: Statement[]): void {
    this.newInput(place, engine, this.shape(), this.dtype(), "normal", to);
  }

  private newInput(
    place: Place,
    engine: EngineName,
    shape: number[],
    dtype: DType,
    draw: Wanted["draw"] & {},
    to: Statement[],
  ): string | null {
    const { draws } = this;
    const outside = place !== "top" && draws.chance(0.7);
    const grad = (place === "top" || outside) && dtype !== "u32" && draws.chance(0.5);
    const out = this.name();
    const statement = { do: "input" as const, out, engine, shape, dtype, draw, seed: this.seed(), grad };
    if (grad) this.leaves.push(out);
    const made = outside
      ? this.attempt(statement, this.list, (input) => this.model.before(input))
      : this.attempt(statement, to);
    return made ? out : null;
  }

  private gradient(place: Place, to: Statement[]): void {
    const { draws } = this;
    const leaf = draws.pick([...this.leaves, "none"]);
    const what = draws.weighted({ backward: 3, clear: 1.5, read: place === "top" ? 4 : 0, name: 1 });
    if (what === "backward") {
      const tracked = [...this.model.cells.values()].filter((cell) => cell.node && !cell.disposed);
      if (tracked.length === 0) return;
      const of = draws.pick(draws.chance(0.5) ? tracked.slice(-2) : tracked);
      const seed = sizeOf(of.shape) === 1 && draws.chance(0.5) ? null : this.seed();
      this.attempt({ do: "backward", of: of.name, seed }, to);
    } else if (what === "clear") this.attempt({ do: "clearGrad", of: leaf }, to);
    else {
      const out = this.name("g");
      if (this.attempt({ do: "grad", of: leaf, out }, to) && what === "read")
        this.attempt({ do: "read", of: out, wait: draws.chance(0.5) }, to);
    }
  }

  /**
   * Fills a function, statement by statement, and adds it. What the model went through meanwhile is then undone and
   * done again as a whole, as whoever runs the program does it.
   */
  private body(statement: Function, place: Place, into: Statement[] = this.list): void {
    const { draws, model } = this;
    const { engine, body } = statement;
    const restore = model.snapshot();
    const outer = this.list.length;
    try {
      if (into === this.list && draws.chance(0.7)) this.input("top", engine, this.list);
      const outside = [...model.cells.values()];
      model.open(frameOf(statement), engine, statement.do === "capture" ? statement.program : "");
      const count = 2 + draws.below(into !== this.list ? 4 : draws.chance(0.2) ? 22 : 9);
      for (let i = 0; i < count; i++) this.within(place, engine, body, into === this.list);
      const made = this.own(engine, body);
      const loss = made.filter((cell) => model.tracked(cell)).at(-1);
      if (place !== "checkpoint" && loss && draws.chance(0.6))
        this.attempt({ do: "backward", of: loss.name, seed: this.seed() }, body);
      if (statement.do === "checkpoint") statement.out = made.at(-1)?.name ?? "none";
      else if (statement.do !== "fail") {
        statement.returns = made
          .filter((cell) => draws.chance(cell === made.at(-1) ? 0.8 : 0.4))
          .map(({ name }) => name);
        const one = statement.returns.length === 1 && draws.chance(0.5);
        statement.form = one ? "one" : draws.pick<Form>(["list", "record"]);
      }
      if (statement.do === "capture") {
        statement.inputs = outside
          .filter((cell) => cell.engine === engine && cell.draw && !cell.disposed && draws.chance(0.4))
          .map(({ name }) => name);
      }
      const inputs = this.list.slice(outer) as Extract<Statement, { do: "input" }>[];
      restore();
      for (const input of inputs) model.before(input);
      model.perform(statement);
      into.push(statement);
      if (into !== this.list) return;
      if (statement.do === "capture" && draws.chance(0.7)) this.run(statement.program);
      else this.readGradients();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      restore();
      this.list.length = outer;
    }
  }

  /** The tensors that statements of a body made. */
  private own(engine: EngineName, body: readonly Statement[]): Cell[] {
    const names = new Set(body.flatMap((s) => ("out" in s ? [s.out] : "returns" in s ? s.returns : [])));
    return this.model.available(engine).filter(({ name }) => names.has(name));
  }

  private within(place: Place, engine: EngineName, body: Statement[], outermost: boolean): void {
    const { draws } = this;
    const what = draws.weighted({
      value: 12,
      dispose: 0.7,
      ...(place === "checkpoint" ? {} : { gradient: 2, keep: 0.3 }),
      ...(outermost ? { checkpoint: 1.2, scope: 1, inference: 0.3 } : {}),
    });
    if (what === "value") this.value(place, engine, body);
    else if (what === "gradient") this.gradient(place, body);
    else if (what === "checkpoint")
      this.body({ do: "checkpoint", engine, body: [], out: "" }, "checkpoint", body);
    else if (what === "scope" || what === "inference")
      this.body({ do: what, engine, body: [], returns: [], form: "list" }, place, body);
    else {
      const own = this.own(engine, body);
      const any = what === "dispose" && draws.chance(0.3) ? this.model.available(engine) : own;
      if (any.length > 0) this.attempt({ do: what, of: draws.pick(any).name }, body);
    }
  }

  private some(engine: EngineName): string {
    const cells = this.model.available(engine);
    return cells.length > 0 ? this.draws.pick(cells).name || "none" : "none";
  }

  /** A tensor that a captured step made. */
  private madeBy(program: string): string {
    const cells = [...this.model.cells].filter(
      ([, cell]) => cell.memory.program?.name === program && !cell.disposed,
    );
    return cells.length > 0 ? this.draws.pick(cells)[0] : "none";
  }

  private name(prefix = "t"): string {
    return `${prefix}${this.nextName++}`;
  }

  private seed(): number {
    return 1 + this.draws.below(1e6);
  }

  private dtype(): DType {
    return this.possible.halves && this.draws.chance(0.2) ? "f16" : "f32";
  }

  private shape(): number[] {
    const { draws } = this;
    if (draws.chance(0.06)) return [64 * (1 + draws.below(4)) + draws.below(8)];
    if (draws.chance(0.1)) return [1 + draws.below(3), 1 + draws.below(5), draws.pick([8, 12, 24])];
    if (draws.chance(0.08))
      return [1 + draws.below(3), 1 + draws.below(4), 3 + draws.below(5), 3 + draws.below(5)];
    const rank = draws.pick([0, 1, 1, 2, 2, 2, 2, 3, 3, 4]);
    for (;;) {
      const shape = Array.from({ length: rank }, () => draws.extent());
      if (sizeOf(shape) <= 400) return shape;
    }
  }

  /** Another shape of the same size. */
  private reshaped(shape: readonly number[]): number[] {
    const size = sizeOf(shape);
    const divisors = Array.from({ length: size }, (_, i) => i + 1).filter((d) => size % d === 0);
    const first = this.draws.pick(divisors);
    return this.draws.pick([[size], [first, size / first], [1, first, size / first], [...shape].reverse()]);
  }
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
