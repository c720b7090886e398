// The same weights and inputs in PyTorch and here: BLIP, BERT and ViT, tiny, through the import. Every layer's output
// is compared, by running the first k layers. Fixture: reference/parity.py.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type Tensor } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { bert, bertSpecs } from "../model/bert.ts";
import { Case } from "../model/case.ts";
import { type ImportPlan, type PlanOptions, planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { type ParameterSpec, Parameters } from "../model/parameters.ts";
import { vit, vitSpecs } from "../model/vit.ts";
import { namedCheckpoint, namedValues } from "./checkpoint-files.ts";

interface Packed {
  shape: number[];
  f32: string;
}

type Shapes = Record<string, number[]>;

const fixture: {
  ids: number[][];
  mask: number[][];
  blip: Record<"vision" | "text" | "grounded", Packed[]> &
    Record<"larger picture" | "target" | "larger target" | "text embedding" | "query", Packed> & {
      shapes: Shapes;
    };
  bert: { text: Packed[]; shapes: Shapes };
  vit: { vision: Packed[]; shapes: Shapes };
} = JSON.parse(readFileSync(new URL("fixtures/parity.json", import.meta.url), "utf8"));

const scale = 0.3;
/** The 24 tokens of the tiny vocabulary. */
const tokens = [
  ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"],
  ...Array.from({ length: 17 }, (_, i) => `word${i}`),
];
const encoder = { num_attention_heads: 2, layer_norm_eps: 1e-5 };
const blipConfig = { model_type: "blip", vision_config: encoder, text_config: { num_attention_heads: 3 } };

const engine = await Engine.create();
const length = fixture.ids[0].length;
const ids = engine.keep(engine.tensor(fixture.ids.flat(), [2, length], "u32"));
const mask = engine.keep(engine.tensor(fixture.mask.flat(), [2, length], "u32"));
const text = { ids, mask };
/** Both texts attend to the one picture. */
const packed = packSource([0, 0], 1);
const source = engine.keep(engine.tensor(packed, [packed.length], "u32"));

function pixels(size: number): Tensor {
  return engine.tensor(namedValues(`pixels ${size}`, 3 * size * size, 2), [1, 3, size, size]);
}

/** Asserts what the issue asks for: 1e-4 of the largest element, and for embeddings a cosine above 0.99999. */
async function equals(work: () => Tensor, { shape, f32 }: Packed, what: string): Promise<number> {
  const result = engine.inference(work);
  const values = (await result.read()) as Float32Array;
  const bytes = Uint8Array.from(Buffer.from(f32, "base64"));
  const wanted = new Float32Array(bytes.buffer);
  assert.is(values.length, wanted.length, what);
  assert.is(shape.at(-1), result.shape.at(-1), what);
  const largest = Math.max(...wanted.map(Math.abs));
  const error = Math.max(...wanted.map((value, i) => Math.abs(value - values[i]))) / largest;
  assert.ok(error < 1e-4, `${what}: ${error}`);
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  const cosine = dot(values, wanted) / Math.sqrt(dot(values, values) * dot(wanted, wanted));
  assert.ok(cosine > 0.99999, `${what}: cosine ${cosine}`);
  result.dispose();
  return error;
}

async function plan(shapes: Shapes, options: PlanOptions): Promise<ImportPlan> {
  const made = await planImport(namedCheckpoint(shapes, scale), { tokens, ...options });
  requireWhole(made);
  return made;
}

/** The parameters of some specs from a plan. */
async function parametersOf(specs: ParameterSpec[], { parameters }: ImportPlan): Promise<Parameters> {
  const loaded = new Parameters(engine, specs, () => false);
  await loaded.stream(new Map(parameters.map((parameter) => [parameter.name, parameter])));
  return loaded;
}

async function blip(options: PlanOptions = {}): Promise<Case> {
  const made = await plan(fixture.blip.shapes, { config: blipConfig, ...options });
  const model = new Case(engine, made.model, made.vocabulary.length, { trainable: () => false });
  await model.parameters.stream(new Map(made.parameters.map((parameter) => [parameter.name, parameter])));
  return model;
}

test("BLIP: every layer of the picture encoder", async () => {
  const { parameters, config } = await blip();
  for (const [depth, wanted] of fixture.blip.vision.entries()) {
    await equals(() => vit(parameters, { ...config.vision, depth }, pixels(48)), wanted, `layer ${depth}`);
  }
  parameters.dispose();
});

test("BLIP: every layer of the text encoder, alone and grounded in a picture", async () => {
  const { parameters, config } = await blip();
  for (const kind of ["text", "grounded"] as const) {
    for (const [depth, wanted] of fixture.blip[kind].entries()) {
      const work = () => {
        const image = { tokens: vit(parameters, config.vision, pixels(48)), source };
        return bert(parameters, { ...config.text, depth }, text, kind === "text" ? null : image);
      };
      await equals(work, wanted, `${kind}, layer ${depth}`);
    }
  }
  parameters.dispose();
});

test("BLIP: target, text and query embeddings", async () => {
  const model = await blip();
  const { target, query, "text embedding": alone } = fixture.blip;
  const seen = () => model.encodeImages(pixels(48));
  const errors = [
    await equals(() => model.embedTargets(seen()), target, "target"),
    await equals(() => model.embedTexts(text), alone, "text"),
    await equals(() => model.embedQueries(text, seen(), source, null), query, "query"),
  ];
  console.log(`largest relative error of an embedding: ${Math.max(...errors).toExponential(1)}`);
  model.dispose();
});

test("BLIP: a larger picture, through the resized positions", async () => {
  const model = await blip({ imageSize: 80 });
  const seen = () => model.encodeImages(pixels(80));
  await equals(seen, fixture.blip["larger picture"], "tokens");
  await equals(() => model.embedTargets(seen()), fixture.blip["larger target"], "target");
  model.dispose();
});

test("BertModel: every layer", async () => {
  const config = { model_type: "bert", num_attention_heads: 3 };
  const made = await plan(fixture.bert.shapes, { config, partial: true });
  const parameters = await parametersOf(bertSpecs(made.model, made.vocabulary.length), made);
  for (const [depth, wanted] of fixture.bert.text.entries()) {
    await equals(() => bert(parameters, { ...made.model.text, depth }, text, null), wanted, `layer ${depth}`);
  }
  parameters.dispose();
});

test("ViTModel: every layer", async () => {
  const config = { model_type: "vit", num_attention_heads: 2 };
  const made = await plan(fixture.vit.shapes, { config, partial: true });
  const parameters = await parametersOf(vitSpecs(made.model), made);
  for (const [depth, wanted] of fixture.vit.vision.entries()) {
    await equals(
      () => vit(parameters, { ...made.model.vision, depth }, pixels(48)),
      wanted,
      `layer ${depth}`,
    );
  }
  parameters.dispose();
});

test.after(() => engine.dispose());
test.run();
