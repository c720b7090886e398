// The command line of the bench for GPUs, and what holds its parts together: each has its time, none can take another's,
// and the file is whole after every one of them.
import { execFile } from "node:child_process";
import { mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { requireWritable } from "../../train/run/disk.ts";
import { end as endBy, UsageError } from "../usage.ts";
import { endings, reserve, totalSeconds } from "./budget.ts";
import { cardFacts } from "./card.ts";
import { type Adapter, parts, type TorchFacts } from "./parts.ts";
import { type GpuResults, gpuResultsSchema } from "./results.ts";
import { runParts } from "./run.ts";
import { Side } from "./side.ts";
import { Worker } from "./worker.ts";

interface Flags {
  out: string;
  quick?: boolean;
  only?: string[];
  python: string;
}

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const root = path("../..");

async function commit(): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)("git", ["rev-parse", "HEAD"], { cwd: root, timeout: 2000 });
    return stdout.trim();
  } catch {
    return null;
  }
}

async function run({ out, quick = false, only, python }: Flags): Promise<void> {
  // All parts lean on the first.
  const chosen = only ? [parts[0]!.name, ...only.flatMap((names) => names.split(","))] : [];
  const unknown = chosen.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined) throw new UsageError(`There is no part "${unknown}"; --list shows them.`);
  if (out === "") throw new UsageError("--out needs the name of a file.");
  await requireWritable(out);
  // Since the start of the process: what loading took is part of the time.
  const seconds = () => performance.now() / 1000;
  const total = quick ? totalSeconds.quick : totalSeconds.full;
  const results: GpuResults = {
    ...{ kind: "gpu", date: new Date().toISOString(), quick, budget_seconds: total, seconds: 0 },
    commit: await commit(),
    machine: { node: process.version, cpu: cpus()[0]?.model ?? "", card: null, adapter: null, torch: null },
    ...{ parts: [], peak: null, torch_copy_gbps: null, check: null, matrix: null, ops: null },
    ...{ cases: [], steps: [], profiles: [] },
  };
  const save = () => {
    results.seconds = Math.round(seconds() * 10) / 10;
    // Through JSON and back: what is no number there becomes null, as it will be read.
    const text = JSON.stringify(results, null, 1);
    gpuResultsSchema.parse(JSON.parse(text));
    mkdirSync(dirname(out), { recursive: true });
    // Whoever ends this process at a bad moment finds the file before or the file after; /dev/stdout stays what it is.
    const isSpecial = statSync(out, { throwIfNoEntry: false })?.isFile() === false;
    const draft = isSpecial ? out : `${out}.part`;
    writeFileSync(draft, `${text}\n`);
    if (draft !== out) renameSync(draft, out);
  };
  const node = [process.execPath, "--import", path("../../cli/register.mjs"), path("ours.ts")];
  // Compiling in this process: workers of torch.compile would outlive a process that had to be ended.
  const environment = { TORCHINDUCTOR_COMPILE_THREADS: "1" };
  const workers = {
    ours: new Worker("our side", node),
    checking: new Worker("our side", node),
    torch: new Worker("PyTorch", [python, path("pytorch.py")], environment),
  };
  const sides = {
    ours: new Side<Adapter>(workers.ours, {}, 20),
    checking: new Side<Adapter>(workers.checking, { poison: true }, 20),
    torch: new Side<TorchFacts>(workers.torch, {}, 60, 4),
  };
  const end = () => {
    for (const worker of Object.values(workers)) worker.end();
  };
  const stop = (code: number) => {
    end();
    save();
    process.exit(code);
  };
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 130],
  ] as const)
    process.once(signal, () => stop(code));
  // Whatever else goes wrong.
  setTimeout(
    () => {
      console.error("The time is over.");
      stop(1);
    },
    1000 * (total - reserve / 2 - seconds()),
  ).unref();

  results.machine.card = await cardFacts();
  const ends = endings(parts, quick, chosen);
  const say = (text: string) => console.log(text);
  await runParts(parts, { quick, results, ...sides, ends, clock: seconds, end, say, save });
  console.log(`Wrote ${out} after ${seconds().toFixed(0)} s`);
  stop(0);
}

// Who reads no more, as `head` does, has seen enough.
process.stdout.on("error", () => process.exit(0));

const help = `npm run gpu -- OPTIONS: checks and measures this machine's GPU, PyTorch beside us, in at most 7 minutes

  --out FILE        Where the results go, runs/gpu.json unless told; written after each part
  --quick           At most 2 minutes
  --only PARTS      Only these parts, between commas; may be repeated
  --python PROGRAM  The Python that has PyTorch, python3 unless told
  --list            Only list the parts with their seconds`;

try {
  const { values } = parseArgs({
    options: {
      out: { type: "string", default: "runs/gpu.json" },
      python: { type: "string", default: "python3" },
      only: { type: "string", multiple: true },
      ...{ quick: { type: "boolean" }, list: { type: "boolean" }, help: { type: "boolean", short: "h" } },
    },
  });
  if (values.help) console.log(help);
  else if (!values.list) await run(values as Flags);
  else for (const { name, full, quick } of parts) console.log(`${name}: ${full} s, ${quick} s with --quick`);
} catch (error) {
  endBy(error);
}
