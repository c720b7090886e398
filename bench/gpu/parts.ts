// The parts of the bench for GPUs. Each fills in its piece of the results as it goes, asks a side only within the time
// that is left to it, and notes what it had to leave out.
import { fileURLToPath } from "node:url";
import { testedCases } from "../../cases/check.ts";
import type { Tuned } from "../../engine/index.ts";
import { loadConfig } from "../../train/run/config-file.ts";
import type { Share } from "./budget.ts";
import type { Prepared, StepSpec, Timing, TorchMode } from "./protocol.ts";
import type { GpuCase, GpuResults, GpuStep, OpsResult, TorchTiming } from "./results.ts";
import type { Side } from "./side.ts";
import {
  bigSteps,
  compiledSubjects,
  emojiSteps,
  type Measured,
  quickCounts,
  stepFlops,
  subjects,
} from "./subjects.ts";
import { runLines } from "./worker.ts";

export type Adapter = NonNullable<GpuResults["machine"]["adapter"]>;
export type TorchFacts = NonNullable<GpuResults["machine"]["torch"]>;

export interface Context {
  quick: boolean;
  results: GpuResults;
  ours: Side<Adapter>;
  /** Our side on a device whose buffers are poisoned. */
  checking: Side<Adapter>;
  torch: Side<TorchFacts>;
  /** Seconds left to the part. */
  left(): number;
  /** A line for the user. */
  say(text: string): void;
  /** Says something that the results keep. */
  note(text: string): void;
  /** The part ended for want of time. */
  cut(): void;
  /** Writes the results as they are. */
  save(): void;
}

export interface Part extends Share {
  run(context: Context): Promise<void>;
}

const root = fileURLToPath(new URL("../..", import.meta.url));
/** An error in a line: what happened, and the last that the process said. */
const first = (error: unknown) => {
  const lines = (error as Error).message.trim().split("\n");
  return [...new Set([lines[0]!, lines.at(-1)!])].join(": ").slice(0, 300);
};

/** PyTorch's facts, or null where it can't be had; it is asked for once. */
async function torchOf({ torch, results, note, left }: Context): Promise<TorchFacts | null> {
  const { machine } = results;
  if (machine.torch?.failed) return null;
  try {
    machine.torch = await torch.open(left());
    return machine.torch;
  } catch (error) {
    machine.torch = { failed: first(error) };
    note(`without PyTorch: ${first(error)}`);
    return null;
  }
}

/** On a CPU, TF32 is f32, and f16 takes ages. */
function modesOn({ cuda }: TorchFacts, modes: readonly TorchMode[]): readonly TorchMode[] {
  return cuda || modes.length === 1 ? modes : modes.filter((mode) => mode === "f32" || mode === "bf16");
}

async function machine(context: Context): Promise<void> {
  const { results, ours, torch, left, say, note } = context;
  // It takes seconds to import, which pass while ours is checked.
  torch.open().catch(() => {});
  results.machine.adapter = await ours.open(left());
  const { adapter, lanes, features, limits, dawn } = results.machine.adapter;
  say(`${adapter}, ${lanes}; Dawn: ${dawn.join(" ")}`);
  say(`  features: ${features.join(", ")}`);
  for (const feature of ["shader-f16", "subgroups", "timestamp-query", matrixFeature])
    if (!features.includes(feature)) note(`the adapter offers no ${feature}`);
  say(
    `  ${Object.entries(limits)
      .map(([name, value]) => `${name} ${value}`)
      .join(", ")}`,
  );
  results.peak = await ours.ask("peak", {}, left());
  const { gflops, gbps, copy_gbps } = results.peak!;
  say(
    `  peaks: ${gflops.toFixed(0)} GFLOP/s, ${gbps.toFixed(0)} GB/s; a large copy ${copy_gbps.toFixed(0)} GB/s`,
  );
}

/** The name and the verdict in a line of `casement doctor --check`; nothing in its other lines. */
export function verdictIn(line: string) {
  const [, name, verdict] = /^ {2}(.*?) +(right, error|WRONG$|skipped: )/.exec(line) ?? [];
  return { name, verdict };
}

/** The check that users have, `casement doctor --check`. */
async function check({ results, left, say, note, cut }: Context): Promise<void> {
  const result = { passed: 0, failed: [] as string[], skipped: 0 };
  results.check = result;
  const command = [process.execPath, "cli/casement.mjs", "doctor", "--check"];
  const ending = await runLines(command, root, left(), (line) => {
    const { name, verdict } = verdictIn(line);
    if (verdict === "WRONG") {
      result.failed.push(name!);
      say(`  WRONG: ${name}`);
    } else if (verdict === "skipped: ") result.skipped++;
    else if (verdict) result.passed++;
  });
  if (ending) {
    if (left() > 1) throw new Error(`casement doctor --check: ${ending}`);
    cut();
    note(`casement doctor --check: ${ending}`);
  }
  say(`  ${result.passed} right, ${result.failed.length} wrong, ${result.skipped} can't run here`);
}

const matrixFeature = "chromium-experimental-subgroup-matrix";
/** Cases that only matrix units can run. */
const needsUnits = (name: string) => /^product matrix|Attention matrix/.test(name);
const onMatrixUnits = (name: string) => needsUnits(name) || /\bhalf\b/.test(name);

/** Kinds of cases in turns, so that a cut leaves none out: what stands for the first word of the names. */
function inTurns(names: readonly string[]): string[] {
  const kinds = new Map<string, string[]>();
  for (const name of names) {
    const kind = name.startsWith("product") ? name.split(" ").slice(0, 2).join(" ") : name.split(" ")[0]!;
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  const lists = [...kinds.values()];
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) =>
    lists.flatMap((list) => (list[i] ? [list[i]] : [])),
  ).flat();
}

/** Seconds that a case of the op table may take, those for compiling it and its neighbours included. */
const caseSeconds = 25;

/** Checks cases in a process that is started again behind one that took it down. */
async function checkOps(context: Context, all: readonly string[], into: "matrix" | "ops"): Promise<void> {
  const { checking, results, left, say, cut, save } = context;
  const result: OpsResult = {
    ...{ cases: all.length, passed: 0, failed: [], skipped: {}, unreached: all.length, worst: 0 },
  };
  results[into] = result;
  let names = all.slice();
  while (names.length > 0 && left() > 1) {
    let running = names[0]!;
    const done = new Set<string>();
    try {
      // A case that hangs is told by the silence behind its beginning.
      await withSilence(checking, names, Math.min(caseSeconds, left()), left, (told) => {
        if ("begins" in told) {
          running = told.begins;
          return;
        }
        const { name, failures, skipped, error } = told;
        done.add(name);
        result.unreached--;
        if (skipped) result.skipped[skipped] = (result.skipped[skipped] ?? 0) + 1;
        else if (failures.length > 0) {
          result.failed.push({ name, failures: failures.slice(0, 4) });
          say(`  WRONG: ${name}: ${failures[0]}`);
        } else {
          result.passed++;
          result.worst = Math.max(result.worst, error);
        }
      });
    } catch (error) {
      if (left() > 1) {
        result.failed.push({ name: running, failures: [first(error)] });
        result.unreached--;
        done.add(running);
        say(`  FAILED: ${running}: ${first(error)}`);
      }
      checking.end();
    }
    names = names.filter((name) => !done.has(name));
    save();
  }
  checking.end();
  if (result.unreached > 0) cut();
  const { passed, failed, unreached } = result;
  const skipped = Object.values(result.skipped).reduce((a, b) => a + b, 0);
  say(`  ${passed} right, ${failed.length} failed, ${skipped} can't run here, ${unreached} not reached`);
}

type Told = { begins: string } | { name: string; failures: string[]; skipped: string | null; error: number };

/** Asks for a table of cases; ends the process where it says nothing for `silence` seconds. */
async function withSilence(
  side: Side<Adapter>,
  names: readonly string[],
  silence: number,
  left: () => number,
  tell: (told: Told) => void,
): Promise<void> {
  await side.open(left());
  let last = performance.now();
  const watch = setInterval(() => {
    if (performance.now() - last > 1000 * silence) side.end(`no answer for ${Math.round(silence)} s`);
  }, 200);
  try {
    await side.ask("table", { names }, left(), (told) => {
      last = performance.now();
      tell(told as Told);
    });
  } finally {
    clearInterval(watch);
  }
}

/** A run that takes longer on this adapter, as far as its peaks tell, is left out. */
const longestRun = 0.5;

/** Seconds that a run may take: kernels that reach a tenth of the peaks. */
function estimate(
  { flops, bytes }: { flops: number | null; bytes: number | null },
  results: GpuResults,
): number {
  // Where measuring them failed, something like a small card, or a processor.
  const guess = results.machine.adapter?.software ? { gflops: 20, gbps: 2 } : { gflops: 10_000, gbps: 300 };
  const { gflops, gbps } = results.peak ?? guess;
  return ((flops ?? 0) / gflops + (bytes ?? 0) / gbps) / 1e9 / 0.1;
}

/** The mean of the rounds, and their extremes. */
function joined(rounds: readonly Timing[]): Timing | null {
  if (rounds.length === 0) return null;
  const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  return {
    ...rounds.at(-1)!,
    ms: mean(rounds.map(({ ms }) => ms)),
    least: Math.min(...rounds.map(({ least }) => least)),
    most: Math.max(...rounds.map(({ most }) => most)),
    runs: rounds.reduce((sum, { runs }) => sum + runs, 0),
  };
}

const brief = (timing: Timing | null) => (timing ? `${timing.ms.toPrecision(3)} ms` : "none");

function caseLine({ name, ours, untuned, torch, flops, failure }: GpuCase): string {
  const rate = flops && ours ? `, ${(flops / ours.ms / 1e9).toFixed(1)} TFLOP/s` : "";
  const others = Object.entries(torch).map(
    ([mode, value]) => `PyTorch ${mode} ${typeof value === "string" ? value.slice(0, 60) : brief(value)}`,
  );
  const rule = untuned && ours ? ` (by rule ${brief(untuned)})` : "";
  return `  ${name}: ${[`${brief(ours)}${rule}${rate}`, ...others].join(", ")}${failure ? `; FAILED: ${failure}` : ""}`;
}

/** Ops of a group, ours and PyTorch's in turns. */
async function cases(context: Context, group: GpuCase["group"]): Promise<void> {
  const { quick, results, ours, torch, left, say, note, cut, save } = context;
  const facts = await torchOf(context);
  const seconds = quick ? 0.15 : 0.25;
  const rounds = quick ? 1 : 2;
  const limits = results.machine.adapter?.limits ?? {};
  const half = results.machine.adapter?.features.includes("shader-f16");
  let tooLarge = 0;
  let withoutHalf = 0;
  let hopeless = false;
  const fitting = subjects[group].filter((subject) => {
    const here = half || !subject.name.includes("f16");
    const small =
      subject.largest <= (limits.maxStorageBufferBindingSize ?? 0) &&
      estimate(subject, results) <= longestRun;
    if (!here) withoutHalf++;
    else if (!small) tooLarge++;
    return here && small;
  });
  for (const subject of fitting.slice(0, quick ? quickCounts[group] : fitting.length)) {
    if (left() < 2) {
      cut();
      break;
    }
    const result = newCase(subject);
    results.cases.push(result);
    const mine: Timing[] = [];
    const theirs = new Map<string, TorchTiming[]>();
    try {
      const { error, tolerance } = await ours.ask<Prepared>("prepare", subject.subject, Math.min(20, left()));
      Object.assign(result, { error, tolerance });
      // JSON has no infinity.
      if (tolerance !== null && !((error ?? Number.POSITIVE_INFINITY) <= tolerance))
        result.failure = `relative error ${error?.toPrecision(3) ?? "without bound"}, allowed ${tolerance}`;
      result.untuned = await ours.ask<Timing>("time", { seconds: seconds / 2 }, Math.min(10, left()));
      result.ours = result.untuned;
    } catch (error) {
      ours.end();
      if (left() < 1) {
        if (!result.ours) results.cases.pop();
        cut();
        break;
      }
      result.failure = first(error);
    }
    let ready = result.ours !== null;
    if (ready && !hopeless) {
      try {
        result.variants = await ours.ask<Tuned[]>("tune", {}, Math.min(25, left()));
      } catch (error) {
        note(`${subject.name} is not tuned: ${first(error)}`);
        ours.end();
        ready = false;
        // On a processor each of the next would take its time as well.
        hopeless = results.machine.adapter?.software ?? false;
      }
    }
    for (let round = 0; round < rounds; round++) {
      if (ready) {
        try {
          mine.push(await ours.ask<Timing>("time", { seconds: seconds / rounds }, Math.min(10, left())));
        } catch (error) {
          ready = false;
          ours.end();
          if (left() < 1) cut();
          else result.failure ??= first(error);
        }
      }
      for (const mode of facts && subject.torch ? modesOn(facts, subject.modes) : []) {
        if (typeof result.torch[mode] === "string" || left() < 1) continue;
        try {
          const args = { ...subject.torch, mode, seconds: seconds / rounds };
          const timing = await torch.ask<TorchTiming>("op", args, Math.min(10, left()));
          theirs.set(mode, [...(theirs.get(mode) ?? []), timing]);
          result.torch[mode] = joined(theirs.get(mode)!)!;
        } catch (error) {
          result.torch[mode] = first(error);
        }
      }
    }
    result.ours = joined(mine) ?? result.ours;
    if (ready) await ours.ask("release", {}, Math.min(10, Math.max(1, left()))).catch(() => ours.end());
    say(caseLine(result));
    save();
  }
  if (tooLarge > 0) note(`${tooLarge} cases are too large for this adapter`);
  if (withoutHalf > 0) note(`${withoutHalf} cases in f16 are left out: the adapter offers no shader-f16`);
  ours.end();
}

function newCase({ name, group, subject, flops, bytes }: Measured): GpuCase {
  return {
    ...{ name, group, weighted: subject.weighted ?? false, flops, bytes, error: null, tolerance: null },
    ...{ untuned: null, ours: null, variants: [], torch: {}, failure: null },
  };
}

async function memory(context: Context): Promise<void> {
  const { results, torch, left } = context;
  if (results.peak && (await torchOf(context))) {
    const elements = results.peak.copy_bytes / 4;
    const args = { op: { op: "copy" }, shapes: [[elements]], weighted: false, mode: "f32", seconds: 0.2 };
    const timing = await torch.ask<Timing>("op", args, left()).catch(() => null);
    if (timing) results.torch_copy_gbps = (8 * elements) / timing.ms / 1e6;
  }
  await cases(context, "memory");
}

/** A step that takes longer, by what the last one of its precision reached or else by the peaks, is left out. */
const longestStep = 2;

/** Whole training steps, ours and PyTorch's one after the other. */
async function steps(context: Context, specs: readonly StepSpec[], profiled = false): Promise<void> {
  const { quick, results, ours, left, say, note, cut, save } = context;
  const facts = await torchOf(context);
  const half = results.machine.adapter?.features.includes("shader-f16");
  const reached = new Map<string, number>();
  const slow: string[] = [];
  for (const spec of specs) {
    const flops = stepFlops(spec);
    const rate = reached.get(spec.precision);
    const expected = rate ? flops / rate : estimate({ flops, bytes: null }, results) / 2;
    if (left() < (quick ? 4 : 6)) {
      cut();
      break;
    }
    if (spec.precision === "f16" && !half) {
      note(`${spec.name} is left out: the adapter offers no shader-f16`);
      continue;
    }
    if (expected > longestStep || expected * 8 > left()) {
      slow.push(`${spec.name} (${expected.toPrecision(2)} s)`);
      continue;
    }
    const result: GpuStep = {
      ...{ name: spec.name, model: spec.model, image: spec.config.vision.imageSize, batch: spec.batch },
      ...{ precision: spec.precision, flops, parameters: null, dispatches: null, bytes: null },
      ...{ planned_bytes: null, loss: null, untuned: null, ours: null, torch: {}, failure: null },
    };
    results.steps.push(result);
    const seconds = quick ? 0.5 : 0.8;
    try {
      const { parameters, dispatches, bytes, planned_bytes } = await ours.ask<Prepared>(
        ...["prepareStep", spec, Math.min(40, left())],
      );
      Object.assign(result, { parameters, dispatches, bytes, planned_bytes });
      result.untuned = await ours.ask<Timing>("time", { seconds: seconds / 2 }, Math.min(20, left()));
      result.ours = result.untuned;
      result.loss = await ours.ask<number | null>("loss", {}, Math.min(10, left()));
      // JSON writes null for what is no number.
      if (result.loss === null) result.failure = "the loss is not a number";
      reached.set(spec.precision, flops / (result.untuned.ms / 1000));
    } catch (error) {
      result.failure = first(error);
      ours.end();
    }
    if (result.failure && left() < 1) {
      if (!result.ours) results.steps.pop();
      cut();
      break;
    }
    save();
    if (result.untuned && left() > 3) {
      try {
        await ours.ask("tune", {}, Math.min(40, left()));
        result.ours = await ours.ask<Timing>("time", { seconds }, Math.min(20, left()));
        if (profiled) await profile(context, spec);
      } catch (error) {
        note(`${spec.name}, tuned: ${first(error)}`);
        ours.end();
      }
    }
    if (result.untuned)
      await ours.ask("release", {}, Math.min(10, Math.max(1, left()))).catch(() => ours.end());
    // Not before ours has given its memory back: a card may hold one of the two only.
    await torchSteps(context, spec, result, facts, seconds);
    say(stepLine(result));
    save();
  }
  if (slow.length > 0) note(`steps that take too long here, as far as can be told: ${slow.join(", ")}`);
  ours.end();
}

async function torchSteps(
  { torch, left, note }: Context,
  spec: StepSpec,
  result: GpuStep,
  facts: TorchFacts | null,
  seconds: number,
): Promise<void> {
  if (!facts) return;
  for (const mode of modesOn(facts, spec.precision === "f32" ? ["f32", "tf32"] : ["bf16", "f16"])) {
    if (left() < 2) return;
    try {
      const args = { spec, mode, seconds: seconds / 2 };
      const timing = await torch.ask<TorchTiming>("step", args, Math.min(25, left()));
      result.torch[mode] = timing;
      if (result.parameters !== null && timing.parameters !== result.parameters)
        note(`${spec.name}: ${result.parameters} parameters, PyTorch's model has ${timing.parameters}`);
    } catch (error) {
      result.torch[mode] = first(error);
    }
  }
}

function stepLine({ name, ours, untuned, torch, bytes, dispatches, failure }: GpuStep): string {
  const gigabytes = (value: number | null | undefined) =>
    value ? `, ${(value / 2 ** 30).toFixed(2)} GiB` : "";
  const others = Object.entries(torch).map(([mode, value]) =>
    typeof value === "string"
      ? `PyTorch ${mode}: ${value.slice(0, 80)}`
      : `PyTorch ${mode} ${brief(value)}${gigabytes(value.peak_bytes)}`,
  );
  const mine = `${brief(ours)} (by rule ${brief(untuned)}), ${dispatches} dispatches${gigabytes(bytes)}`;
  return `  ${name}: ${[mine, ...others].join("; ")}${failure ? `; FAILED: ${failure}` : ""}`;
}

/** Where the time of the step that is ready goes. */
async function profile({ results, ours, left, say }: Context, spec: StepSpec): Promise<void> {
  if (spec.model !== "case" || left() < 3) return;
  const measured = await ours.ask<Omit<GpuResults["profiles"][number], "name">>(
    "profile",
    {},
    Math.min(20, left()),
  );
  results.profiles.push({ name: spec.name, ...measured });
  for (const { name, milliseconds, ofPeak, bound } of measured.kernels.slice(0, 5)) {
    const share = (100 * milliseconds) / measured.gpuMilliseconds;
    const peak = ofPeak === null ? "" : `, ${Math.round(100 * ofPeak)} % of ${bound}'s peak`;
    say(`    ${name}: ${share.toFixed(0)} %${peak}`);
  }
}

/** torch.compile beside what was measured, as it takes long to begin. */
async function compiled(context: Context): Promise<void> {
  const { results, torch, left, note, say, cut, save } = context;
  const facts = await torchOf(context);
  if (!facts) return;
  const step = results.steps.find(({ model, torch }) => model === "case" && typeof torch.bf16 === "object");
  const spec = bigSteps.find(({ name }) => name === step?.name);
  const tries: [name: string, mode: string, into: GpuCase["torch"], ask: () => Promise<TorchTiming>][] = [];
  for (const { name, torch: subject, modes } of compiledSubjects) {
    const result = results.cases.find((result) => result.name === name);
    const mode = modes[0]!;
    if (!result || !subject || typeof result.torch[mode] !== "object") continue;
    const args = { ...subject, mode, seconds: 0.2, compiled: true };
    tries.push([name, mode, result.torch, () => torch.ask<TorchTiming>("op", args, left())]);
  }
  if (step && spec)
    tries.splice(2, 0, [
      ...([step.name, "bf16", step.torch] as [string, string, GpuCase["torch"]]),
      () => torch.ask<TorchTiming>("step", { spec, mode: "bf16", seconds: 0.5, compiled: true }, left()),
    ]);
  for (const [name, mode, into, ask] of tries) {
    if (left() < 4) {
      cut();
      break;
    }
    try {
      const timing = await ask();
      into[`${mode}, compiled`] = timing;
      say(`  ${name}: PyTorch ${mode}, compiled ${brief(timing)}`);
    } catch (error) {
      note(`${name}, compiled: ${first(error)}`);
    }
    save();
  }
}

/** In the order of their worth. */
export const parts: readonly Part[] = [
  { name: "machine", full: 20, quick: 12, run: machine },
  { name: "check", full: 25, quick: 10, run: check },
  {
    ...{ name: "matrix", full: 20, quick: 8 },
    async run(context) {
      if (!context.results.machine.adapter?.features.includes(matrixFeature)) {
        throw new Error(`left out: the adapter offers no ${matrixFeature}`);
      }
      const names = testedCases.map(({ name }) => name).filter(onMatrixUnits);
      await checkOps(context, inTurns(names), "matrix");
    },
  },
  {
    ...{ name: "ops", full: 55, quick: 14 },
    run: (context) =>
      checkOps(
        context,
        inTurns(testedCases.map(({ name }) => name).filter((name) => !needsUnits(name))),
        "ops",
      ),
  },
  { name: "products", full: 68, quick: 18, run: (context) => cases(context, "products") },
  { name: "attention", full: 40, quick: 11, run: (context) => cases(context, "attention") },
  { name: "memory", full: 42, quick: 11, run: memory },
  {
    ...{ name: "emoji", full: 15, quick: 8 },
    async run(context) {
      const { model } = await loadConfig(
        fileURLToPath(new URL("../../train/configs/emoji-tiny.json", import.meta.url)),
      );
      await steps(context, context.quick ? emojiSteps(model).slice(0, 1) : emojiSteps(model), true);
    },
  },
  { name: "steps", full: 95, quick: 18, run: (context) => steps(context, bigSteps, true) },
  { name: "compiled", full: 30, quick: 0, run: compiled },
];
