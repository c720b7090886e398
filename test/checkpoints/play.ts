// Loads a sample as the command line would and holds what the device computes against the generator's own forward pass,
// or its refusal against what is wrong with it.
import { Engine, type Tensor } from "../../engine/index.ts";
import { packSource } from "../../kernels/attention/attention.ts";
import { bert, bertSpecs } from "../../model/bert.ts";
import { Case } from "../../model/case.ts";
import { exportConfig, exportTensors } from "../../model/checkpoint/export.ts";
import { openCheckpoint } from "../../model/checkpoint/open.ts";
import { type ImportPlan, planImport, requireWhole } from "../../model/checkpoint/plan.ts";
import { memorySource } from "../../model/checkpoint/source.ts";
import { type ParameterSpec, Parameters } from "../../model/parameters.ts";
import {
  CheckpointError,
  type StoredArray,
  type TensorToStore,
  writeSafetensors,
} from "../../model/safetensors.ts";
import { poolTokens, vit, vitSpecs } from "../../model/vit.ts";
import { namedValues, Stored, torchFile } from "../checkpoint-files.ts";
import { encodePicture, encodeText, linear, poolPicture, type Rows, unit } from "./forward.ts";
import { type FileTensor, generate, type Sample } from "./generate.ts";

/** Of a result's largest element, or of 1 where that is more. */
export const tolerance = 1e-5;

export interface Outcome {
  /** What is wrong; null where nothing is. */
  failure: string | null;
  refused: boolean;
  /** The largest difference. */
  error: number;
}

const half = (value: number): number => {
  const bits = new Uint32Array(Float32Array.of(value).buffer)[0]!;
  const exponent = ((bits >>> 23) & 255) - 112;
  const sign = (bits >>> 16) & 0x8000;
  if (exponent <= 0) return sign | Math.round(Math.abs(value) * 2 ** 24);
  return sign | ((exponent << 10) + ((bits & 0x7fffff) >>> 13));
};

/** The array of a tensor's type. */
function stored({ data, dtype, shape }: FileTensor): TensorToStore {
  const arrays: Record<string, () => StoredArray> = {
    F32: () => Float32Array.from(data),
    F64: () => Float64Array.from(data),
    F16: () => Uint16Array.from(data, half),
    BF16: () => Uint16Array.from(data, (value) => new Uint32Array(Float32Array.of(value).buffer)[0]! >>> 16),
    I64: () => BigInt64Array.from([...data].map(BigInt)),
  };
  return { dtype, shape, data: arrays[dtype]!() };
}

/** The bytes of a sample's file. */
function fileOf({ tensors, container, wrapping }: Sample): Uint8Array {
  if (container === "safetensors") {
    return writeSafetensors(new Map(Array.from(tensors, ([name, one]) => [name, stored(one)])));
  }
  const state: unknown = new Map(
    Array.from(tensors, ([name, { data, shape }]) => [name, new Stored(Float32Array.from(data), shape)]),
  );
  const whole = wrapping.reduceRight(
    (held, key) =>
      new Map<string, unknown>([
        ["epoch", 3],
        [key, held],
        ["best", "0.5"],
      ]),
    state,
  );
  return torchFile(whole, container === "stream");
}

async function load(sample: Sample): Promise<ImportPlan> {
  const { config, preprocessor, nested, tokenizer, tokens, ignore, kind } = sample;
  const checkpoint = await openCheckpoint(memorySource(fileOf(sample)));
  const plan = await planImport(checkpoint, {
    config,
    ...(nested ? { processor: { image_processor: preprocessor } } : { preprocessor }),
    tokenizer,
    tokens,
    ignore,
    partial: kind !== "blip",
  });
  requireWhole(plan);
  for (const { read } of plan.parameters.filter(({ name }) => !isRest(sample, name))) await read();
  return plan;
}

/** Whether a parameter is of the half of CASE that a file of one encoder has not. */
const isRest = ({ kind }: Sample, name: string) =>
  kind !== "blip" && !name.startsWith(kind === "vit" ? "vision_model." : "text_encoder.");

/** Runs samples on one engine. */
export class Player {
  private constructor(private readonly engine: Engine) {}

  static async create(): Promise<Player> {
    return new Player(await Engine.create({ poison: true }));
  }

  dispose(): void {
    this.engine.dispose();
  }

  async play(seed: number, round: number): Promise<Outcome> {
    const sample = generate(seed, round);
    const outcome = { failure: null, refused: false, error: 0 };
    const failed = (failure: string) => ({ ...outcome, failure: `${describe(sample)}: ${failure}` });
    let plan: ImportPlan;
    try {
      plan = await load(sample);
    } catch (error) {
      if (!(error instanceof CheckpointError)) return failed(`${(error as Error).stack}`);
      const { message } = error;
      const wanted = sample.broken?.named;
      if (wanted?.some((one) => message.includes(one))) return { ...outcome, refused: true };
      if (sample.open?.test(message)) return { ...outcome, refused: true };
      return failed(wanted === undefined ? `refused: ${message}` : `does not name ${wanted}: ${message}`);
    }
    if (sample.broken) return failed(`${sample.broken.what} (${sample.broken.named}) was not seen`);
    if (sample.open) return failed(`loads, though its files leave open what ${sample.open} asks for`);
    for (const [key, value] of Object.entries(sample.pixels ?? {})) {
      const told = plan.model.vision[key as keyof ImportPlan["model"]["vision"]];
      if (`${told}` !== `${value}`) return failed(`pictures have ${key} ${told}, not ${value}`);
    }
    let error: number;
    try {
      error = await this.compare(sample, plan);
    } catch (cause) {
      return failed(`${(cause as Error).stack}`);
    }
    if (!(error <= tolerance)) return failed(`differs by ${error}`);
    if (sample.kind === "blip") {
      const lost = await exportFault(plan);
      if (lost) return failed(lost);
    }
    return { ...outcome, error };
  }

  /** The largest difference between the device's results and the generator's. */
  private async compare(sample: Sample, plan: ImportPlan): Promise<number> {
    const { engine } = this;
    const { vision, text, projections } = sample;
    const start = engine.stats().usedBytes;
    const owned: { dispose(): void }[] = [];
    const own = <T extends { dispose(): void }>(one: T): T => {
      owned.push(one);
      return one;
    };
    let worst = 0;
    const hold = async (result: Tensor, wanted: Float64Array[]) => {
      const values = (await own(result).read()) as Float32Array;
      const all = wanted.flatMap((row) => [...row]);
      if (values.length !== all.length) throw new Error(`${values.length} elements, not ${all.length}`);
      const largest = all.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
      for (let i = 0; i < all.length; i++) {
        const difference = Math.abs(values[i]! - all[i]!) / largest;
        // NaN must not pass for small.
        worst = Math.max(worst, difference);
      }
    };
    const { model } = plan;
    const fill = async (specs: ParameterSpec[]) => {
      const parameters = own(new Parameters(engine, specs, () => false));
      await parameters.stream(new Map(plan.parameters.map((one) => [one.name, one])));
      return parameters;
    };
    const pictures = 2;
    let seen: Rows[] = [];
    let pixels: Tensor | null = null;
    if (vision) {
      const side = vision.grid * vision.patch;
      const values = namedValues(`pixels ${side}`, pictures * 3 * side * side, 2);
      pixels = own(engine.tensor(values, [pictures, 3, side, side]));
      const size = 3 * side * side;
      seen = Array.from({ length: pictures }, (_, i) =>
        encodePicture(vision, values.subarray(i * size, (i + 1) * size)),
      );
    }
    const allowed = sample.ids.map((row) => row.map((id) => id !== 0));
    const texts = text && {
      ids: own(engine.tensor(sample.ids.flat(), [sample.ids.length, sample.ids[0]!.length], "u32")),
      mask: own(engine.tensor(allowed.flat().map(Number), [sample.ids.length, sample.ids[0]!.length], "u32")),
    };
    const alone = text ? sample.ids.map((row, i) => encodeText(text, row, allowed[i]!, null)) : [];
    if (vision && text) {
      const network = own(new Case(engine, model, plan.vocabulary.length, { trainable: () => false }));
      await network.parameters.stream(new Map(plan.parameters.map((one) => [one.name, one])));
      const tokens = own(engine.inference(() => network.encodeImages(pixels!)));
      const packed = packSource([1, 0], pictures);
      const source = own(engine.tensor(packed, [packed.length], "u32"));
      const project = (row: Float64Array, layer: "vision" | "text") =>
        unit(linear([row], projections![layer])[0]!);
      const grounded = sample.ids.map((row, i) => encodeText(text, row, allowed[i]!, seen[1 - i]!));
      await hold(
        engine.inference(() => network.embedTargets(tokens)),
        seen.map((rows) => project(poolPicture(vision, rows), "vision")),
      );
      await hold(
        engine.inference(() => network.embedTexts(texts!)),
        alone.map((rows) => project(rows[0]!, "text")),
      );
      await hold(
        engine.inference(() => network.embedQueries(texts!, tokens, source, null)),
        grounded.map((rows) => project(rows[0]!, "text")),
      );
      await hold(tokens, seen.flat());
    } else if (vision) {
      const parameters = await fill(vitSpecs(model));
      const tokens = engine.inference(() => vit(parameters, model.vision, pixels!));
      await hold(
        engine.inference(() => poolTokens(parameters, model.vision, tokens)),
        seen.map((rows) => poolPicture(vision, rows)),
      );
      await hold(tokens, seen.flat());
    } else {
      const parameters = await fill(bertSpecs(model, plan.vocabulary.length));
      await hold(
        engine.inference(() => bert(parameters, model.text, texts!, null)),
        alone.flat(),
      );
    }
    for (const one of owned) one.dispose();
    await engine.idle();
    const left = engine.stats().usedBytes - start;
    if (left !== 0) throw new Error(`${left} bytes were not given back`);
    return worst;
  }
}

/** Exports a plan's model and imports that again: every bit and every option must be there. Gives what differs. */
async function exportFault(plan: ImportPlan): Promise<string | null> {
  const values = new Map<string, Float32Array<ArrayBuffer>>();
  for (const { name, read } of plan.parameters) values.set(name, await read());
  const entries = plan.parameters.map(({ name, shape }) => {
    const read = async () => values.get(name)!;
    return [name, { dtype: "F32" as const, shape, read }] as const;
  });
  const exported = exportTensors(plan.model, plan.vocabulary.length, new Map(entries));
  const tensors = new Map<string, TensorToStore>();
  for (const { name, shape, read } of exported)
    tensors.set(name, { dtype: "F32", shape, data: await read() });
  const config = exportConfig(plan.model, plan.vocabulary, values.get("temp")![0]!);
  const again = await openCheckpoint(memorySource(writeSafetensors(tensors)));
  const options = { config: JSON.parse(JSON.stringify(config)), tokens: plan.vocabulary };
  let back: ImportPlan;
  try {
    back = await planImport(again, options);
    requireWhole(back);
  } catch (error) {
    return `its export does not load: ${(error as Error).message}`;
  }
  if (JSON.stringify(back.model) !== JSON.stringify(plan.model))
    return "its export has another configuration";
  for (const { name, read } of back.parameters) {
    const [was, is] = [values.get(name)!, await read()];
    if (!Buffer.from(was.buffer).equals(Buffer.from(is.buffer))) return `its export has another ${name}`;
  }
  return null;
}

/** One line on a sample. */
function describe({
  kind,
  naming,
  container,
  wrapping,
  tensors,
  config,
  broken,
  vision,
  text,
}: Sample): string {
  const facts = { config, wrapping, first: [...tensors.keys()][0], broken: broken?.what };
  const sizes = vision && {
    ...{
      width: vision.width,
      heads: vision.heads,
      grid: vision.grid,
      patch: vision.patch,
      placed: vision.placed,
    },
    ...{
      registers: vision.registers.length,
      cls: vision.cls !== null,
      pooling: vision.pooling,
      act: vision.act,
    },
    ...{ after: vision.normAfter, pre: vision.preNorm !== null, epsilon: vision.epsilon },
  };
  const words = text && { width: text.width, heads: text.heads, rows: text.words.length, act: text.act };
  return `${kind} in ${naming}'s names, ${container}, ${JSON.stringify({ ...facts, vision: sizes, text: words })}`;
}
