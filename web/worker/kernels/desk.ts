// The worker's own state behind the Kernels tab: the bench's cases and how fast they run here, which kernel runs in which
// case, and edits, each checked before it is timed.
import {
  type BenchedCase,
  benched,
  benchedCases,
  errorOf,
  objection,
  resultSize,
} from "../../../cases/benched.ts";
import { drawInputs, drawValues, type OpCase } from "../../../cases/case.ts";
import { type CaseRun, caseRun } from "../../../cases/case-run.ts";
import { lackOf, recordCase, runCase } from "../../../cases/check.ts";
import { allKernels } from "../../../cases/kernels.ts";
import { featuresOf, limitsOf, offersOf } from "../../../cases/offers.ts";
import { allCases } from "../../../cases/table.ts";
import { enter, median, type Runner, timeRuns, turnsOf, usualPlan } from "../../../cases/timing.ts";
import {
  composeWgsl,
  DeviceLostError,
  type Engine,
  findAdapter,
  type Kernel,
  KernelError,
  type LaunchWork,
  type Tensor,
} from "../../../engine/index.ts";
import { measurePeak, type Peak } from "../../../train/profile/peak/peak.ts";
import type {
  Edit,
  Fault,
  KernelEntry,
  KernelNews,
  KernelsOpened,
  KernelText,
  Outcome,
  Part,
  Rates,
  Spread,
  Timed,
  WrongCase,
} from "../../kernels.ts";
import { Turns } from "../../turns.ts";
import { Engines, StoppedError, StuckError } from "./engines.ts";
import { guardBinding, guardLoops } from "./guard.ts";
import { textOf, withText } from "./text.ts";

/** Seconds that a device may take for one case, compiling included. */
const patience = 60;
/** Turns of a loop that count as endless: in a small case, and at the bench's sizes. */
const mostTurns = { small: 1 << 16, large: 1 << 20 };
/** Cases that are wrong after which no further one is tried. */
const enoughWrong = 3;
/** Cases whose pipelines compile together. */
const together = 8;

/** A kernel as some case specialises it. */
type Specialised = Pick<LaunchWork, "constants"> & { dtype: Parameters<typeof composeWgsl>[1] };

/** Where a kernel runs on this adapter. */
interface Use {
  kernel: Kernel;
  small: OpCase[];
  large: BenchedCase[];
  example: Specialised;
}

/** A case with its tensors on an engine. */
interface Ready extends CaseRun {
  engine: Engine;
  values: Float64Array[];
  tensors: Tensor[];
  dispose(): void;
}

export class KernelDesk {
  private readonly engines = new Engines((why) => this.tell({ kind: "lost", why }));
  private uses: Map<string, Use> | null = null;
  private readonly turns = new Turns();

  constructor(private readonly tell: (news: KernelNews) => void) {}

  /** One question at a time, each of which `stop` ends. */
  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.turns.take(() => {
      this.engines.begin();
      return work();
    });
  }

  open(): Promise<KernelsOpened> {
    return this.inTurn(async () => {
      const engine = await this.engines.get("times");
      const { adapter } = await findAdapter();
      const offers = offersOf(adapter);
      return {
        adapter: engine.adapterName,
        facts: [...featuresOf(offers), ...limitsOf(offers)],
        cases: benchedCases.map(({ name, opCase }) => ({
          name,
          shapes: opCase.inputs.map(({ shape }) => shape.join("x")).join(", "),
          lack: lackOf(engine, opCase),
        })),
      };
    });
  }

  peak(): Promise<Peak> {
    return this.inTurn(async () => {
      const engine = await this.engines.get("times");
      return this.engines.within(engine, patience, () => measurePeak(engine));
    });
  }

  time(name: string): Promise<Timed> {
    return this.inTurn(async () => {
      const engine = await this.engines.get("times");
      const asked = this.find(name);
      const lack = lackOf(engine, asked.opCase);
      if (lack) throw new Error(lack);
      const ready = await this.ready(engine, asked);
      try {
        const error = await this.errorOf(ready, asked.opCase);
        const { parts, bytes, flops } = await this.workOf(ready);
        const work = { flops: asked.flops ?? flops, bytes };
        const runs = { run: ready.run, wait: () => engine.idle() };
        const [times] = await this.race(name, [{ run: (count) => this.runs(engine, runs, count) }]);
        return {
          ...{
            name,
            ...work,
            inFlops: asked.flops !== null,
            parts,
            error,
            wrong: objection(asked.opCase, error),
          },
          ...ratesOf(times!, work),
        };
      } finally {
        ready.dispose();
      }
    });
  }

  /** A case of the bench, or of the table at a small size. */
  private find(name: string): BenchedCase {
    const found = benchedCases.find((one) => one.name === name);
    if (found) return found;
    const opCase = allCases.find((one) => one.name === name);
    if (!opCase) throw new Error(`There is no case ${name}.`);
    return benched(opCase);
  }

  /** Puts a case's tensors on an engine and measures its choices of kernels, as before training. */
  private async ready(engine: Engine, { opCase, weighted }: BenchedCase): Promise<Ready> {
    const values = drawInputs(opCase);
    const tensors = opCase.inputs.map(({ shape, dtype }, i) => engine.tensor(values[i]!, shape, dtype));
    const size = resultSize(opCase);
    const dtype = opCase.inputs[0]!.dtype;
    const grad = weighted ? engine.tensor(drawValues({ dtype }, 7, size), [size], dtype) : null;
    const own = grad ? [...tensors, grad] : tensors;
    const run = caseRun(engine, opCase, tensors, grad);
    const dispose = () => {
      for (const tensor of own) tensor.dispose();
      engine.trim().catch(() => {});
    };
    try {
      await this.engines.within(engine, patience, () => engine.tune(run.record));
      return { ...run, engine, values, tensors, dispose };
    } catch (error) {
      dispose();
      throw error;
    } finally {
      run.clear();
    }
  }

  /** The relative error of a case's result by float64. */
  private errorOf({ engine, tensors, values }: Ready, opCase: OpCase): Promise<number> {
    return this.engines.within(engine, patience, async () => {
      const result = engine.inference(() => opCase.run(tensors, engine));
      try {
        return errorOf(opCase, values, await result.read());
      } finally {
        result.dispose();
      }
    });
  }

  /** What a run of a case dispatches. */
  private workOf({
    engine,
    record,
    clear,
  }: Ready): Promise<{ parts: Part[]; flops: number | null; bytes: number }> {
    return this.engines.within(engine, patience, async () => {
      const program = await engine.capture(record);
      const launches = program.launches();
      program.dispose();
      clear();
      const parts = new Map<string, Part>();
      for (const { kernel, constants } of launches) {
        const part = parts.get(kernel) ?? { kernel, calls: 0, variants: [] };
        part.calls++;
        const on = Object.entries(constants).flatMap(([name, value]) => (value === true ? [name] : []));
        part.variants = [...new Set([...part.variants, ...on])];
        parts.set(kernel, part);
      }
      const flops = launches.reduce((sum, launch) => sum + (launch.flops ?? 0), 0);
      const bytes = launches.reduce((sum, launch) => sum + launch.bytes, 0);
      return { parts: [...parts.values()], flops: flops > 0 ? flops : null, bytes };
    });
  }

  private runs(engine: Engine, subject: Parameters<typeof timeRuns>[0], count: number): Promise<number> {
    return this.engines.within(engine, patience, () => timeRuns(subject, count));
  }

  /** Lets sides take turns by the bench's rules. */
  private async race(what: string, sides: readonly Runner[]): Promise<Spread[]> {
    const { rounds, batch } = usualPlan;
    const entrants = [];
    for (const [i, side] of sides.entries()) entrants.push(await enter(`${i}`, side, batch));
    const turns = turnsOf(entrants, rounds);
    for (const [done, { side, times, samples }] of turns.entries()) {
      this.tell({ kind: "progress", what: `timing ${what}`, done, total: turns.length });
      samples.push((await side.run(times)) / times);
    }
    return entrants.map(({ samples }) => spreadOf(samples));
  }

  kernels(): Promise<KernelEntry[]> {
    return this.inTurn(async () => {
      const uses = await this.findUses();
      return [...uses.values()].map(({ kernel: { name }, small, large }) => ({
        ...{ name, checked: small.length },
        timed: large.length > 0 ? large.map(({ name }) => name) : [largestOf(small).name],
      }));
    });
  }

  /** Finds which kernels run in which cases, by recording them all on an engine that takes notes. */
  private async findUses(): Promise<Map<string, Use>> {
    if (this.uses) return this.uses;
    const engine = await this.engines.get("times");
    const known = new Map(allKernels.map((kernel) => [kernel.name, kernel]));
    const uses = new Map<string, Use>();
    let note: (use: Use) => void = () => {};
    engine.run = ({ name }, { dtype = "f32", constants = {} }) => {
      const kernel = known.get(name);
      if (!kernel) return;
      const use = uses.get(name) ?? { kernel, small: [], large: [], example: { dtype, constants } };
      uses.set(name, use);
      note(use);
    };
    try {
      for (const opCase of allCases) {
        if (opCase.bench) continue;
        note = ({ small }) => {
          if (small.at(-1) !== opCase) small.push(opCase);
        };
        recordCase(engine, opCase);
      }
      for (const one of benchedCases) {
        if (lackOf(engine, one.opCase)) continue;
        note = ({ large }) => {
          if (large.at(-1) !== one) large.push(one);
        };
        engine.scope(() => {
          const zeros = one.opCase.inputs.map(({ shape, dtype }) => engine.zeros(shape, dtype));
          const grad = one.weighted ? engine.zeros([resultSize(one.opCase)]) : null;
          const { record, clear } = caseRun(engine, one.opCase, zeros, grad);
          record();
          clear();
        });
      }
    } finally {
      // Its own again, of its class.
      delete (engine as Partial<Engine>).run;
    }
    await this.engines.within(engine, patience, () => engine.trim());
    // What no small case runs can't be checked.
    this.uses = new Map(
      [...uses].filter(([, { small }]) => small.length > 0).sort(([a], [b]) => a.localeCompare(b, "en")),
    );
    return this.uses;
  }

  private async useOf(name: string): Promise<Use> {
    const use = (await this.findUses()).get(name);
    if (!use) throw new Error(`No case runs the kernel ${name} on this adapter.`);
    return use;
  }

  source(name: string): Promise<KernelText> {
    return this.inTurn(async () => {
      const { kernel, example } = await this.useOf(name);
      const { lanes } = await this.engines.get("times");
      const text = textOf(kernel, lanes.subgroups);
      const blank = withText(kernel, "");
      const derived = composeWgsl(blank, example.dtype, example.constants, lanes).trimEnd();
      return { name, text, derived };
    });
  }

  /** Compiles an edit, checks it on all small cases of its kernel, and times it beside the original. */
  try(edit: Edit): Promise<Outcome> {
    return this.inTurn(async () => {
      const at = { name: "" };
      try {
        return await this.tryEdit(edit, at);
      } catch (error) {
        if (error instanceof StoppedError) return { kind: "stopped" };
        if (error instanceof StuckError) return { kind: "stuck", ...at, seconds: error.seconds };
        if (error instanceof DeviceLostError) return { kind: "lost", ...at, why: error.message };
        if (error instanceof KernelError) return brokenBy(error);
        throw error;
      } finally {
        for (const engine of this.engines.all()) engine.endStandIns();
      }
    });
  }

  private async tryEdit({ kernel: name, text, timedOn }: Edit, at: { name: string }): Promise<Outcome> {
    const { kernel, small, example } = await this.useOf(name);
    const edited = withText(kernel, text);
    const asked = this.find(timedOn);
    const checks = await this.engines.get("checks");
    at.name = small[0]!.name;
    const faults = await this.engines.within(checks, patience, () => complaints(checks, edited, example));
    if (faults.length > 0) return { kind: "broken", faults, message: "The text does not compile." };

    const guard = new Guard(checks, kernel, text, mostTurns.small);
    const [cases, wrong]: [OpCase[], WrongCase[]] = [small, []];
    let [right, skipped] = [0, 0];
    try {
      await this.guarded(checks, guard, small[0]!);
      for (const [done, opCase] of cases.entries()) {
        at.name = opCase.name;
        this.tell({ kind: "progress", what: `checking ${opCase.name}`, done, total: cases.length });
        if (done % together === 0) {
          await this.engines.within(checks, patience, async () => {
            for (const next of cases.slice(done, done + together)) recordCase(checks, next);
            await checks.idle();
          });
        }
        const result = await this.engines.within(checks, patience, () => runCase(checks, opCase));
        const line = await this.engines.within(checks, patience, () => guard.left());
        if (line !== null) return { kind: "endless", line, name: opCase.name, turns: mostTurns.small };
        if (result.skipped) skipped++;
        else if (result.failures.length === 0) right++;
        else {
          checks.endStandIns();
          const original = await this.engines.within(checks, patience, () => runCase(checks, opCase));
          guard.stand();
          const { name, failures, wrong: elements } = result;
          wrong.push({ name, failures, elements, originalToo: original.failures.length > 0 });
        }
        if (wrong.length === enoughWrong) break;
      }
    } finally {
      guard.dispose();
    }
    const untried = cases.length - right - skipped - wrong.length;
    if (wrong.length > 0) return { kind: "wrong", cases: wrong, right, untried };
    at.name = timedOn;
    return this.compare(kernel, text, asked, { checked: right, skipped });
  }

  /** Has the guarded text run in place of the kernel; where that does not compile, as it stands. */
  private async guarded(engine: Engine, guard: Guard, opCase: OpCase): Promise<void> {
    guard.stand();
    try {
      await this.engines.within(engine, patience, () => engine.prepare(() => recordCase(engine, opCase)));
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      guard.giveUp();
    }
  }

  /** Times an edit that is right at small sizes beside the original, on one case. */
  private async compare(
    kernel: Kernel,
    text: string,
    asked: BenchedCase,
    { checked, skipped }: { checked: number; skipped: number },
  ): Promise<Outcome> {
    const engine = await this.engines.get("times");
    const { opCase, name } = asked;
    const edited = withText(kernel, text);
    const ready = await this.ready(engine, asked);
    const guard = new Guard(engine, kernel, text, mostTurns.large);
    try {
      const { bytes, flops } = await this.workOf(ready);
      const work = { flops: asked.flops ?? flops, bytes };
      await this.guarded(engine, guard, opCase);
      await this.runs(engine, { run: ready.run, wait: () => engine.idle() }, 1);
      const line = await this.engines.within(engine, patience, () => guard.left());
      if (line !== null) return { kind: "endless", line, name, turns: mostTurns.large };
      engine.standIn(edited);
      const error = await this.errorOf(ready, opCase);
      const wrong = objection(opCase, error);
      if (wrong)
        return {
          kind: "wrong",
          cases: [{ name, failures: [wrong], elements: [], originalToo: false }],
          right: checked,
          untried: 0,
        };
      const side = (stand: () => void): Runner => ({
        run: (count) => {
          engine.endStandIns();
          stand();
          return this.runs(engine, { run: ready.run, wait: () => engine.idle() }, count);
        },
      });
      const [before, after] = await this.race(name, [side(() => {}), side(() => engine.standIn(edited))]);
      const { least, most } = spreadOf(before!.samples.map((time, i) => time / after!.samples[i]!));
      const ratio = { median: before!.median / after!.median, least, most };
      return {
        ...{ kind: "right", checked, skipped, timedOn: name, ratio },
        original: ratesOf(before!, work),
        edited: ratesOf(after!, work),
      };
    } finally {
      engine.endStandIns();
      guard.dispose();
      ready.dispose();
    }
  }

  async stop(): Promise<void> {
    this.engines.stop();
  }
}

/** An edited kernel whose loops are counted, and the tensor that says which of them was left. */
class Guard {
  private readonly kernel: Kernel;
  private readonly lines: readonly number[];
  private readonly seen: Tensor;
  private works = true;

  constructor(
    private readonly engine: Engine,
    kernel: Kernel,
    private readonly plain: string,
    turns: number,
  ) {
    const { text, lines } = guardLoops(plain, turns);
    this.kernel = { ...withText(kernel, text), bindings: [...kernel.bindings, guardBinding] };
    this.lines = lines;
    const { maxStorageBuffersPerShaderStage: most } = engine.device.limits;
    this.works = lines.length > 0 && kernel.bindings.length < most;
    this.seen = engine.keep(engine.zeros([4], "u32"));
  }

  stand(): void {
    const { engine, kernel, seen, plain, works } = this;
    if (works) engine.standIn(kernel, [seen]);
    else engine.standIn(withText(kernel, plain, kernel.bindings.slice(0, -1)));
  }

  /** The text is one that can't be watched. */
  giveUp(): void {
    this.works = false;
    this.stand();
  }

  /** The line of a loop that was left for its turns; null as long as none was. */
  async left(): Promise<number | null> {
    if (!this.works) return null;
    const [number] = await this.seen.read();
    return number ? this.lines[number - 1]! : null;
  }

  dispose(): void {
    this.seen.dispose();
  }
}

/** What the compiler says against an edited text as it stands, without a pipeline that might run. */
async function complaints(
  engine: Engine,
  kernel: Kernel,
  { dtype, constants }: Specialised,
): Promise<Fault[]> {
  const { device, lanes } = engine;
  const code = composeWgsl(kernel, dtype, constants, lanes);
  const before = code.split("\n").length - kernel.source.split("\n").length;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code, label: kernel.name });
  const [{ messages }] = await Promise.all([module.getCompilationInfo(), device.popErrorScope()]);
  return messages
    .filter(({ type }) => type === "error")
    .map(({ lineNum, linePos, message }) => ({
      ...(lineNum > before ? { line: lineNum - before, column: linePos } : { line: 0, column: 0 }),
      message,
    }));
}

function brokenBy({ message, faults }: KernelError): Outcome {
  const placed = faults.map(({ text, line, column, message }) => ({
    // Text 0 is what is derived.
    ...(text === 0 ? { line: 0, column: 0 } : { line, column }),
    message,
  }));
  return { kind: "broken", faults: placed, message };
}

function largestOf(cases: readonly OpCase[]): OpCase {
  const size = ({ inputs }: OpCase) =>
    inputs.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return cases.reduce((a, b) => (size(b) > size(a) ? b : a));
}

function spreadOf(samples: number[]): Spread {
  return { median: median(samples), least: Math.min(...samples), most: Math.max(...samples), samples };
}

function ratesOf(spread: Spread, { flops, bytes }: { flops: number | null; bytes: number }): Rates {
  const perSecond = (amount: number) => amount / spread.median / 1e6;
  return { ...spread, gflops: flops === null ? null : perSecond(flops), gbps: perSecond(bytes) };
}
