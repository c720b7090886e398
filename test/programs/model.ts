// The float64 interpreter of random programs. It knows what a program means and nothing of how the engine does it: every
// tensor has numbers of its own, gradients follow the op cases' formulas, and a captured step is a list of effects that
// `run` repeats.
//
// Beside the exact values it carries two more with the rounding errors that a dtype may have made up to there. What
// they come to tells how far the engine's may be off, and a statement after which they lie apart (a difference of large
// numbers, a tie, a jump) is refused: it would test the luck of rounding. So is one that nobody may ask for.
import { type Draw, drawInput } from "../../cases/case.ts";
import type { DType } from "../../engine/index.ts";
import { operations } from "./operations.ts";
import type { EngineName, Statement } from "./statements.ts";

/** The statement makes no sense where it stands: another was left out, or float64 can't tell what comes of it. */
export class Refused extends Error {}

/** The first is exact. */
const lanes = 3;
/** Rounding errors of one operation, relative to the element and the root of the mean square. */
const rounding: Record<DType, number> = { f32: 1e-6, f16: 1e-3, u32: 0, i32: 0 };
/** How far the lanes may lie apart. */
const apart: Record<DType, number> = { f32: 1e-3, f16: 0.05, u32: 0, i32: 0 };
/** The least relative error that is told. */
const least: Record<DType, number> = { f32: 3e-5, f16: 1e-2, u32: 0, i32: 0 };
/** Errors count relative to numbers of at least this size. */
const floor = 0.03;
const largest = 300;

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

function rootMeanSquare(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
}

/** The largest |a - b| / (|b| + rms(b) + floor); infinite for what is not finite. */
export function errorOf(a: ArrayLike<number>, b: Float64Array): number {
  const scale = rootMeanSquare(b) + floor;
  let worst = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < b.length; i++) {
    const error = Math.abs(a[i]! - b[i]!) / (Math.abs(b[i]!) + scale);
    if (!(error <= worst)) worst = Number.isFinite(error) ? error : Number.POSITIVE_INFINITY;
  }
  return worst;
}

/** Numbers that tensors share. Arrays are replaced, never changed. */
interface Memory {
  values: readonly Float64Array[];
  defined: boolean;
  /** Counts changes. */
  version: number;
  /** The captured step whose memory it is. */
  program: Program | null;
  /** Filled from the host within a captured step. */
  constant: boolean;
}

interface Node {
  id: number;
  inputs: readonly Cell[];
  versions: number[];
  /** Emits the gradient of each input, from that of the output. */
  backward: (dy: Cell, needs: boolean[]) => (Cell | null)[];
  /** Whether backward needs nothing but inputs and output. */
  lean: boolean;
  /** Whether what the engine saved for it is still there. */
  whole: boolean;
  program: Program | null;
  checkpoint: Checkpoint | null;
}

/** What a checkpoint needs when it runs again. */
interface Checkpoint {
  outer: Checkpoint | null;
  first: number;
  key: number;
  uses: Map<Cell, number>;
}

/** A tensor. */
export interface Cell {
  name: string;
  engine: EngineName;
  memory: Memory;
  /** In elements. */
  offset: number;
  shape: number[];
  dtype: DType;
  node: Node | null;
  requiresGrad: boolean;
  grad: Cell | null;
  disposed: boolean;
  /** Gone with its engine. */
  lost: boolean;
  /** Made within a checkpoint, which makes it again, and unknown outside of it. */
  again: boolean;
  /** How an input is drawn anew. */
  draw: Draw | null;
}

type Effect = () => void;

interface Program {
  name: string;
  engine: EngineName;
  effects: Effect[];
  inputs: string[];
  outputs: Cell[];
  /** What the step makes for leaves that had none: each run brings it there. */
  gradients: Map<Cell, Cell>;
  runs: number;
  /** Whether the capture was waited for. */
  ready: boolean;
  ended: boolean;
  lost: boolean;
  /** Programs whose memory the step uses. */
  needs: Set<Program>;
}

export type Kind = "scope" | "inference" | "checkpoint" | "capture" | "rehearsal";

/** What a statement with a body runs it as. */
export function frameOf(s: Extract<Statement, { body: Statement[] }>): Kind {
  const kind = s.do === "fail" ? s.within : s.do;
  return kind === "tune" || kind === "prepare" ? "rehearsal" : kind;
}

/** A function that is being run. */
interface Frame {
  kind: Kind;
  engine: EngineName;
  made: Set<Cell>;
  /** What was recorded; of most operations a part of what backward needs goes with the function. */
  nodes: Node[];
  gradients: boolean;
  program: Program | null;
  checkpoint: Checkpoint | null;
  /** Memories as they were before a capture tried its effects. */
  before: Map<Memory, { values: readonly Float64Array[]; defined: boolean; version: number }> | null;
}

/** What a read should give. */
export interface Expected {
  values: Float64Array;
  tolerance: number;
}

export class Model {
  readonly cells = new Map<string, Cell>();
  readonly programs = new Map<string, Program>();
  /** Names that only the inside of a checkpoint knows. */
  private readonly hidden = new Set<string>();
  private everything: Cell[] = [];
  private memories: Memory[] = [];
  private frames: Frame[] = [];
  private gradients = true;
  private key = 1;
  private nextNode = 1;
  private salt = 0;

  /** Carries a statement out. Returns what a read should give. Throws Refused and leaves the model in any state. */
  perform(statement: Statement): Expected | null {
    const s = statement;
    switch (s.do) {
      case "input": {
        this.requireFrame(s.engine);
        const cell = this.make(s.out, s.engine, s.shape, s.dtype);
        cell.requiresGrad = s.grad;
        cell.draw = s.draw;
        const values = drawInput(s, s.seed);
        this.fill(cell, () => values);
        const { memory } = cell;
        memory.constant = memory.program !== null;
        if (memory.constant) {
          this.emit(() => {
            memory.defined = true;
          });
        }
        return null;
      }
      case "zeros": {
        this.requireFrame(s.engine);
        const cell = this.make(s.out, s.engine, s.shape, s.dtype);
        this.emit(() => this.fill(cell, () => new Float64Array(sizeOf(s.shape))));
        return null;
      }
      case "op":
        this.operate(s);
        return null;
      case "reshape": {
        const of = this.use(s.of, false);
        if (sizeOf(s.shape) !== sizeOf(of.shape)) throw new Refused("sizes differ");
        const cell = this.share(s.out, of, s.shape, 0);
        this.record(cell, [of], { lean: true, whole: true }, (dy) => {
          const dx = this.temporary(of);
          this.emit(() => this.fill(dx, (lane) => valuesOf(dy, lane)));
          return [dx];
        });
        return null;
      }
      case "slice": {
        const of = this.use(s.of, false);
        const bytes = of.dtype === "f16" ? 2 : 4;
        const end = s.start + sizeOf(s.shape);
        if ((s.start * bytes) % 256 !== 0 || end > sizeOf(of.shape)) throw new Refused("no such slice");
        if ((sizeOf(s.shape) * bytes) % 4 !== 0) throw new Refused("half a word");
        this.share(s.out, of, s.shape, s.start);
        return null;
      }
      case "write": {
        const to = this.target(s.to);
        if (this.captured()) throw new Refused("a captured step does not write");
        if (to.dtype === "u32" && `${s.draw}` !== `${to.draw}`) throw new Refused("ids may be too large");
        this.fill(to, () => drawInput({ ...to, draw: s.draw }, s.seed));
        return null;
      }
      case "clear": {
        const to = this.target(s.to);
        this.emit(() => this.fill(to, () => new Float64Array(sizeOf(to.shape))));
        return null;
      }
      case "clamp": {
        const to = this.target(s.to);
        this.requireDefined(to);
        if (to.dtype === "u32") throw new Refused("whole numbers");
        this.emit(() =>
          this.fill(to, (lane) => valuesOf(to, lane).map((x) => Math.min(Math.max(x, s.low), s.high))),
        );
        return null;
      }
      case "copy":
      case "accumulate": {
        const [from, to] = [this.use(s.from), this.target(s.to)];
        this.requireDefined(from);
        if (from.memory === to.memory || from.dtype !== to.dtype || from.engine !== to.engine)
          throw new Refused("does not fit");
        if (sizeOf(from.shape) !== sizeOf(to.shape)) throw new Refused("does not fit");
        if (s.do === "copy") this.emit(() => this.fill(to, (lane) => valuesOf(from, lane)));
        else {
          this.requireDefined(to);
          if (to.dtype === "u32") throw new Refused("whole numbers");
          this.emit(() => this.fill(to, (lane) => sum(valuesOf(to, lane), valuesOf(from, lane)), true));
        }
        return null;
      }
      case "scope":
      case "inference":
        this.open(s.do, s.engine);
        for (const inner of s.body) this.perform(inner);
        this.close(s.returns);
        return null;
      case "checkpoint":
        this.open("checkpoint", s.engine);
        for (const inner of s.body) this.perform(inner);
        this.close([s.out]);
        return null;
      case "backward":
        this.backward(s.of, s.seed);
        return null;
      case "clearGrad": {
        const of = this.use(s.of);
        if (!of.grad) throw new Refused("no gradient");
        of.grad.disposed = true;
        of.grad = null;
        return null;
      }
      case "grad": {
        const { grad } = this.use(s.of, false);
        if (!grad || grad.disposed || this.gone(grad) || this.early(grad)) throw new Refused("no gradient");
        this.cells.set(s.out, grad);
        return null;
      }
      case "keep": {
        const of = this.use(s.of, false);
        if (this.frames.some(({ kind }) => kind === "checkpoint")) throw new Refused("made again");
        for (const { made } of this.frames) made.delete(of);
        return null;
      }
      case "dispose": {
        const of = this.use(s.of);
        if (this.isGradient(of)) throw new Refused("clearGrad does that");
        if (this.captured() && !this.frames.some(({ made }) => made.has(of)))
          throw new Refused("not its own");
        of.disposed = true;
        return null;
      }
      case "read": {
        const of = this.use(s.of);
        if (this.frames.length > 0) throw new Refused("a function does not read");
        this.requireDefined(of);
        const values = valuesOf(of, 0);
        const worst = Math.max(...others.map((lane) => errorOf(valuesOf(of, lane), values)));
        return { values, tolerance: least[of.dtype] + 10 * worst };
      }
      case "seek":
        this.key = s.key;
        return null;
      case "capture": {
        this.open("capture", s.engine, s.program);
        for (const inner of s.body) this.perform(inner);
        const program = this.close(s.returns)!;
        program.inputs = s.inputs;
        program.ready = s.wait;
        for (const name of s.inputs) {
          const input = this.use(name);
          if (input.memory.program || input.engine !== s.engine) throw new Refused("no input");
        }
        return null;
      }
      case "run": {
        const program = this.live(s.program);
        for (const name in s.values) {
          if (!program.inputs.includes(name)) throw new Refused("no input");
          const to = this.use(name);
          const { seed, draw } = s.values[name]!;
          this.fill(to, () => drawInput({ ...to, draw }, seed));
        }
        for (const effect of program.effects) effect();
        program.runs++;
        for (const [leaf, grad] of program.gradients) {
          if (leaf.disposed || leaf.grad === grad) continue;
          const again = grad.disposed ? this.cell(grad.name, grad, grad.memory, grad.offset) : grad;
          program.gradients.set(leaf, again);
          leaf.grad = again;
        }
        return null;
      }
      case "end": {
        const program = this.live(s.program, true);
        program.ended = true;
        for (const cell of program.outputs) cell.disposed = true;
        return null;
      }
      case "tune":
      case "prepare":
      case "fail": {
        const restore = this.snapshot();
        const kind = frameOf(s);
        this.open(kind, s.engine);
        for (const inner of s.body) this.perform(inner);
        const { gradients } = this.frames.at(-1)!;
        if (s.do === "fail" && kind === "checkpoint") {
          for (const cell of this.frames.pop()!.made) cell.disposed = true;
          this.gradients = gradients;
        } else this.close(s.do === "fail" ? [] : s.returns);
        // A function that fails was carried out up to there, where it was not only taken down.
        if (kind === "rehearsal" || kind === "capture") restore();
        return null;
      }
      case "reopen":
        for (const cell of this.everything) if (cell.engine === "B") cell.lost = true;
        for (const program of this.programs.values()) if (program.engine === "B") program.lost = true;
        return null;
      case "misuse":
        this.misuse(s);
        return null;
      case "misuse of a program": {
        const program = this.programs.get(s.program);
        if (!program || program.lost || this.frames.length > 0) throw new Refused("no program");
        if (program.ended !== (s.how === "run")) throw new Refused("no mistake");
        if (s.how === "needs" && ![...program.needs].some(({ ended }) => ended))
          throw new Refused("no mistake");
        program.ready = true;
        if (s.how === "length" && program.inputs.length === 0) throw new Refused("no mistake");
        return null;
      }
      case "refused capture":
        this.use(s.of);
        return null;
      case "settle":
      case "flush":
      case "idle":
      case "trim":
        return null;
    }
  }

  /** Begins a function. */
  open(kind: Kind, engine: EngineName, program = ""): void {
    const outer = this.frames.at(-1);
    if (outer && (outer.engine !== engine || kind === "capture" || kind === "rehearsal"))
      throw new Refused("not within another function");
    const captures = kind === "capture" || kind === "rehearsal";
    const checkpoint: Checkpoint | null =
      kind === "checkpoint" && this.gradients
        ? { outer: outer?.checkpoint ?? null, first: this.nextNode, key: this.key, uses: new Map() }
        : (outer?.checkpoint ?? null);
    const fresh: Omit<Program, "name" | "engine"> = {
      ...{ effects: [], inputs: [], outputs: [], gradients: new Map(), runs: 0 },
      ...{ ready: false, ended: false, lost: false, needs: new Set() },
    };
    this.frames.push({
      ...{ kind, engine, made: new Set(), nodes: [], gradients: this.gradients, checkpoint },
      program: captures ? { name: program, engine, ...fresh } : (outer?.program ?? null),
      before: captures
        ? new Map(this.memories.map((memory) => [memory, { ...memory }]))
        : (outer?.before ?? null),
    });
    if (kind === "inference") this.gradients = false;
  }

  /** Ends a function that returns these tensors. */
  close(returns: readonly string[]): Program | null {
    const returned = returns.map((name) => this.use(name, false));
    const frame = this.frames.pop()!;
    const { kind, made, program, before } = frame;
    this.gradients = frame.gradients;
    if (kind === "checkpoint") {
      const [result] = returned;
      if (!result || !made.has(result)) throw new Refused("a checkpoint returns what it made");
      if (!this.frames.some((outer) => outer.kind === "checkpoint")) this.hidden.delete(returns[0]!);
      if (frame.checkpoint !== (this.frames.at(-1)?.checkpoint ?? null)) {
        if (result.node && result.requiresGrad) throw new Refused("a leaf");
        for (const cell of made) cell.again = cell !== result && !cell.disposed;
      }
    } else {
      for (const node of frame.nodes) node.whole &&= node.lean;
    }
    for (const cell of returned) if (made.delete(cell)) this.frames.at(-1)?.made.add(cell);
    for (const cell of made) cell.disposed = true;
    if (program === null || (kind !== "capture" && kind !== "rehearsal")) return null;
    for (const memory of this.memories) {
      const old = before!.get(memory);
      if (old) Object.assign(memory, old);
      else if (memory.program === program) memory.defined = false;
    }
    program.outputs = returned;
    for (const [leaf, grad] of program.gradients) if (leaf.grad !== grad) program.gradients.delete(leaf);
    if (kind === "capture") this.programs.set(program.name, program);
    return program;
  }

  /** What there is to work with on an engine: tensors that are alive and defined. */
  available(engine: EngineName): Cell[] {
    return [...this.cells.values()].filter(
      (cell) => cell.engine === engine && !cell.disposed && !this.gone(cell) && cell.memory.defined,
    );
  }

  /** Whether a tensor's memory went with its program or engine. */
  gone({ memory, lost }: Cell): boolean {
    return lost || memory.program?.ended === true;
  }

  /** Whether a tensor's memory comes with a program that is still being made. */
  private early({ memory: { program } }: Cell): boolean {
    return program !== null && !program.ready && program !== this.captured();
  }

  /** Whether a gradient has to reach a tensor. */
  tracked({ requiresGrad, node }: Cell): boolean {
    return this.gradients && (requiresGrad || node !== null);
  }

  /** Makes an input as if before the functions that are being run. */
  before(statement: Extract<Statement, { do: "input" }>): void {
    const { frames, gradients } = this;
    this.frames = [];
    this.perform(statement);
    const { memory } = this.cells.get(statement.out)!;
    this.frames = frames;
    this.gradients = gradients;
    for (const { before } of frames) before?.set(memory, { ...memory });
  }

  /** Takes a picture of everything; what is returned goes back to it. */
  snapshot(): () => void {
    const cells = new Map(this.cells);
    const programs = new Map(
      [...this.programs].map(([name, program]) => [
        name,
        { program, copy: { ...program, gradients: new Map(program.gradients) } },
      ]),
    );
    const everything = this.everything.map((cell) => ({ cell, copy: { ...cell } }));
    const memories = this.memories.map((memory) => ({ memory, copy: { ...memory } }));
    const frames = this.frames.map((frame) => ({
      frame,
      made: new Set(frame.made),
      effects: frame.program?.effects.length ?? 0,
      uses: new Map(frame.checkpoint?.uses),
    }));
    const hidden = new Set(this.hidden);
    const { gradients, key, nextNode, salt } = this;
    return () => {
      this.cells.clear();
      for (const [name, cell] of cells) this.cells.set(name, cell);
      this.hidden.clear();
      for (const name of hidden) this.hidden.add(name);
      this.programs.clear();
      for (const [name, { program, copy }] of programs) this.programs.set(name, Object.assign(program, copy));
      for (const { cell, copy } of everything) Object.assign(cell, copy);
      this.everything = everything.map(({ cell }) => cell);
      for (const { memory, copy } of memories) Object.assign(memory, copy);
      this.memories = memories.map(({ memory }) => memory);
      this.frames = frames.map(({ frame, made, effects, uses }) => {
        frame.made = made;
        if (frame.program) frame.program.effects.length = effects;
        if (frame.checkpoint) frame.checkpoint.uses = uses;
        return frame;
      });
      Object.assign(this, { gradients, key, nextNode, salt });
    };
  }

  private operate(s: Extract<Statement, { do: "op" }>): void {
    const inputs = s.inputs.map((name) => this.use(name));
    const operation = operations[s.op]!;
    const { inputs: wanted, gradients } = operation.make(s.spec, this.key);
    inputs.forEach((input, i) => {
      if (input.engine !== inputs[0]!.engine) throw new Refused("another engine's");
      if (`${input.shape}` !== `${wanted[i]!.shape}` || input.dtype !== (wanted[i]!.dtype ?? "f32"))
        throw new Refused("does not fit");
      this.requireDefined(input);
    });
    this.requireFrame(inputs[0]!.engine);
    const out = this.make(s.out, inputs[0]!.engine, s.shape, s.dtype);
    const valuesAt = (lane: number) => inputs.map((input) => valuesOf(input, lane));
    this.emit(() => {
      const { reference } = operation.make(s.spec, this.key);
      this.fill(out, (lane) => reference(valuesAt(lane)), true);
    });
    if (!gradients) return;
    const { lean = false } = operation;
    this.record(out, inputs, { lean, whole: lean || this.frames.length > 0 }, (dy, needs) => {
      const grads = inputs.map((input, i) => (needs[i] ? this.temporary(input) : null));
      this.emit(() => {
        const opCase = operation.make(s.spec, this.key);
        const results = range.map((lane) => opCase.gradients!(valuesAt(lane), valuesOf(dy, lane)));
        grads.forEach((grad, i) => {
          if (!grad) return;
          this.fill(grad, (lane) => results[lane]![i] ?? new Float64Array(sizeOf(grad.shape)), true);
        });
      });
      return grads;
    });
  }

  private record(
    output: Cell,
    inputs: readonly Cell[],
    saved: Pick<Node, "lean" | "whole">,
    backward: Node["backward"],
  ): void {
    if (!inputs.some((input) => this.tracked(input))) return;
    const frame = this.frames.at(-1);
    const node: Node = {
      id: this.nextNode++,
      inputs,
      versions: [...inputs, output].map(({ memory }) => memory.version),
      backward,
      ...saved,
      program: frame?.program ?? null,
      checkpoint: frame?.checkpoint ?? null,
    };
    output.node = node;
    frame?.nodes.push(node);
  }

  private backward(name: string, seed: number | null): void {
    const of = this.use(name);
    if (this.frames.some(({ kind }) => kind === "checkpoint")) throw new Refused("made again");
    if (!this.tracked(of) || (seed === null && sizeOf(of.shape) !== 1)) throw new Refused("no gradient");
    if (of.dtype === "u32") throw new Refused("whole numbers");
    const reached = new Set([of]);
    for (const cell of reached) {
      if (cell.node) this.requireIntact(cell, cell.node);
      if (cell.requiresGrad) {
        if (cell.disposed || this.gone(cell)) throw new Refused("a leaf that is gone");
      }
      for (const input of cell.node?.inputs ?? []) if (this.tracked(input)) reached.add(input);
    }
    const first = this.temporary(of);
    this.fill(first, () => (seed === null ? Float64Array.of(1) : drawInput({ ...of, draw: "normal" }, seed)));
    const grads = new Map([[of, first]]);
    const order = [...reached].sort((a, b) => (b.node?.id ?? 0) - (a.node?.id ?? 0));
    for (const cell of order) {
      const incoming = grads.get(cell);
      if (!incoming) continue;
      if (cell.requiresGrad) this.addToLeaf(cell, incoming);
      if (!cell.node) continue;
      const { inputs, backward } = cell.node;
      const needs = inputs.map((input) => this.tracked(input));
      backward(incoming, needs).forEach((grad, i) => {
        if (!grad) return;
        const earlier = grads.get(inputs[i]!);
        if (!earlier) {
          grads.set(inputs[i]!, grad);
          return;
        }
        const both = this.temporary(inputs[i]!);
        this.emit(() => this.fill(both, (lane) => sum(valuesOf(earlier, lane), valuesOf(grad, lane)), true));
        grads.set(inputs[i]!, both);
      });
    }
  }

  /** A step adds to what is there for good and to what it made; nobody to a program's gradient before that runs. */
  private canAccumulate(grad: Cell): boolean {
    if (grad.disposed || this.gone(grad)) return false;
    const { program } = grad.memory;
    return program === null || program === this.captured() || (!this.captured() && program.runs > 0);
  }

  private addToLeaf(leaf: Cell, incoming: Cell): void {
    const { grad } = leaf;
    const captured = this.captured();
    if (grad && this.canAccumulate(grad)) {
      this.requireDefined(grad);
      this.emit(() => this.fill(grad, (lane) => sum(valuesOf(grad, lane), valuesOf(incoming, lane)), true));
      return;
    }
    const own = this.temporary(leaf);
    own.name = `${leaf.name}.grad`;
    leaf.grad = own;
    captured?.gradients.set(leaf, own);
    this.emit(() => this.fill(own, (lane) => valuesOf(incoming, lane)));
  }

  /** A gradient can be had through a node whose tensors are there and as they were. */
  private requireIntact(output: Cell, node: Node): void {
    const frame = this.frames.at(-1);
    if (!node.whole) throw new Refused("what it saved is gone");
    if (node.program !== (frame?.program ?? null)) throw new Refused("another step's graph");
    for (const [i, cell] of [...node.inputs, output].entries()) {
      if ((cell.disposed && !cell.again) || this.gone(cell)) throw new Refused("disposed");
      if (cell.memory.version !== node.versions[i]) throw new Refused("changed since");
    }
    for (let at = node.checkpoint; at; at = at.outer) {
      if (at.key !== this.key) throw new Refused("other random numbers");
      for (const [cell, version] of at.uses) {
        if ((cell.disposed && !cell.again) || this.gone(cell)) throw new Refused("disposed");
        if (cell.memory.version !== version) throw new Refused("changed since");
      }
    }
  }

  private misuse(s: Extract<Statement, { do: "misuse" }>): void {
    const cell = this.cells.get(s.of);
    if (!cell || cell.lost || this.hidden.has(s.of) || this.frames.length > 0) throw new Refused("no tensor");
    const other = s.other === undefined ? null : this.use(s.other);
    const dead = cell.disposed || this.gone(cell);
    const { program } = cell.memory;
    const wrong = {
      constant: !dead && cell.memory.constant && !this.early(cell),
      early: !dead && program !== null && program.runs === 0 && !cell.memory.defined,
      "too early": !dead && this.early(cell) && cell.dtype !== "u32",
      read: dead,
      use: dead && cell.dtype !== "u32",
      write: dead,
      view: dead,
      clear: dead,
      copy:
        dead &&
        other !== null &&
        other.engine === cell.engine &&
        other.dtype === cell.dtype &&
        `${other.shape}` === `${cell.shape}`,
      "slice past the end": !dead,
      misfit:
        !dead &&
        other !== null &&
        cell.dtype !== "u32" &&
        other.dtype === cell.dtype &&
        other.engine === cell.engine &&
        !fits(cell.shape, other.shape),
      "no gradient": !dead && !this.tracked(cell),
      foreign:
        !dead &&
        other !== null &&
        other.engine !== cell.engine &&
        cell.dtype !== "u32" &&
        other.dtype === cell.dtype &&
        `${other.shape}` === `${cell.shape}`,
    }[s.how];
    if (!wrong) throw new Refused("no mistake");
  }

  private live(name: string, atAnyRate = false): Program {
    const program = this.programs.get(name);
    if (!program || program.ended || program.lost || this.frames.length > 0) throw new Refused("no program");
    for (const other of program.needs)
      if (other.ended && !atAnyRate) throw new Refused("it needs another program");
    program.ready = true;
    return program;
  }

  /** The tensor of a name; a program whose step `reads` it can't do without what holds it. */
  private use(name: string, reads = true): Cell {
    const cell = this.cells.get(name);
    if (!cell || cell.disposed || this.gone(cell) || this.early(cell)) throw new Refused(`no ${name}`);
    const frame = this.frames.at(-1);
    if (frame && frame.engine !== cell.engine) throw new Refused("another engine's");
    for (let at = frame?.checkpoint; at; at = at.outer) {
      const inside = this.frames.some(({ checkpoint, made }) => checkpoint === at && made.has(cell));
      if (!inside && !at.uses.has(cell)) at.uses.set(cell, cell.memory.version);
    }
    if (reads) this.noteProgram(cell);
    return cell;
  }

  private noteProgram({ memory }: Cell): void {
    const program = this.captured();
    if (program && memory.program && memory.program !== program) program.needs.add(memory.program);
  }

  /** The tensor of a name, to be changed. */
  private target(name: string): Cell {
    const cell = this.use(name);
    if (cell.memory.constant) throw new Refused("a constant");
    if (this.frames.some(({ kind }) => kind === "checkpoint"))
      throw new Refused("a checkpoint changes nothing");
    return cell;
  }

  private requireFrame(engine: EngineName): void {
    const frame = this.frames.at(-1);
    if (frame && frame.engine !== engine) throw new Refused("another engine's");
  }

  private requireDefined({ memory }: Cell): void {
    if (!memory.defined) throw new Refused("not yet there");
  }

  private isGradient(cell: Cell): boolean {
    return this.everything.some(({ grad }) => grad === cell);
  }

  private captured(): Program | null {
    return this.frames.at(-1)?.program ?? null;
  }

  private emit(effect: Effect): void {
    effect();
    this.captured()?.effects.push(effect);
  }

  private memory(size: number): Memory {
    const values = range.map(() => new Float64Array(size).fill(Number.NaN));
    const memory = { values, defined: false, version: 0, program: this.captured(), constant: false };
    this.memories.push(memory);
    return memory;
  }

  private cell(
    name: string,
    like: Pick<Cell, "engine" | "shape" | "dtype">,
    memory: Memory,
    offset: number,
  ): Cell {
    const { engine, shape, dtype } = like;
    const state = {
      node: null,
      requiresGrad: false,
      grad: null,
      disposed: false,
      lost: false,
      again: false,
      draw: null,
    };
    const cell: Cell = { name, engine, memory, offset, shape, dtype, ...state };
    this.everything.push(cell);
    return cell;
  }

  private make(name: string, engine: EngineName, shape: number[], dtype: DType): Cell {
    if (this.cells.has(name)) throw new Refused(`a second ${name}`);
    const cell = this.cell(name, { engine, shape, dtype }, this.memory(sizeOf(shape)), 0);
    this.cells.set(name, cell);
    this.frames.at(-1)?.made.add(cell);
    if (this.frames.some(({ kind }) => kind === "checkpoint")) this.hidden.add(name);
    return cell;
  }

  private share(name: string, of: Cell, shape: number[], start: number): Cell {
    if (this.cells.has(name)) throw new Refused(`a second ${name}`);
    const cell = this.cell(name, { ...of, shape }, of.memory, of.offset + start);
    this.cells.set(name, cell);
    this.frames.at(-1)?.made.add(cell);
    if (this.frames.some(({ kind }) => kind === "checkpoint")) this.hidden.add(name);
    return cell;
  }

  private temporary(like: Cell): Cell {
    return this.cell("", like, this.memory(sizeOf(like.shape)), 0);
  }

  /** Gives a tensor its numbers, with errors of rounding where they were computed. */
  private fill(cell: Cell, values: (lane: number) => Float64Array, computed = false): void {
    const { memory, offset, dtype } = cell;
    const results = range.map(values);
    const exact = results[0]!;
    if (!exact.every((value) => Math.abs(value) <= largest)) throw new Refused("too large");
    const scale = rootMeanSquare(exact);
    this.salt++;
    memory.values = results.map((result, lane) => {
      const whole = memory.values[lane]!.slice();
      const error = computed && lane > 0 ? rounding[dtype] : 0;
      result.forEach((value, i) => {
        whole[offset + i] = value + (error > 0 ? error * (Math.abs(value) + scale) * this.noise(i, lane) : 0);
      });
      return whole;
    });
    for (const lane of others)
      if (errorOf(valuesOf(cell, lane), exact) > apart[dtype]) throw new Refused("a jump");
    memory.defined = true;
    memory.version++;
  }

  /** From -1 to 1. */
  private noise(i: number, lane: number): number {
    const mixed = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(this.salt * lanes + lane, 0x85ebca6b);
    return (Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) >>> 0) / 2 ** 31 - 1;
  }
}

const range = Array.from({ length: lanes }, (_, lane) => lane);
const others = range.slice(1);

function valuesOf({ memory, offset, shape }: Cell, lane: number): Float64Array {
  return memory.values[lane]!.subarray(offset, offset + sizeOf(shape));
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

function fits(a: readonly number[], b: readonly number[]): boolean {
  return a.every((extent, d) => {
    const other = b[b.length - a.length + d] ?? 1;
    return extent === other || extent === 1 || other === 1;
  });
}
