// Vision transformers and BERTs that are not built as BLIP's are, in timm's and in transformers' names, hold against what
// these compute: DeiT III, DINOv2 with registers, CLIP's and SigLIP's vision models among them. Fixture:
// reference/encoders.py.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type Tensor } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { mul } from "../kernels/elementwise/arithmetic.ts";
import { cast } from "../kernels/elementwise/cast.ts";
import { sum } from "../kernels/reduce/reduce.ts";
import { bert, bertSpecs } from "../model/bert.ts";
import { planImport, requireWhole } from "../model/checkpoint/plan.ts";
import { modelSchema } from "../model/config.ts";
import { Parameters } from "../model/parameters.ts";
import { poolTokens, vit, vitSpecs } from "../model/vit.ts";
import { namedCheckpoint, namedValues } from "./checkpoint-files.ts";
import { compare, type Digest } from "./digest.ts";

const fixture: {
  scale: number;
  size: number;
  ids: number[][];
  cases: {
    title: string;
    config: unknown;
    shapes: Record<string, number[]>;
    results: { tokens: Digest; pooled?: Digest };
  }[];
} = JSON.parse(readFileSync(new URL("fixtures/encoders.json", import.meta.url), "utf8"));

const tokens = [
  ...["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]"],
  ...Array.from({ length: 17 }, (_, i) => `word${i}`),
];
/** Of the largest element, over two layers against float64. */
const precisions = [
  { precision: "f32", tolerance: 1e-5 },
  { precision: "f16", tolerance: 2e-2 },
] as const;

const engine = await Engine.create({ poison: true });

async function holds(what: string, tensor: Tensor, wanted: Digest, tolerance: number): Promise<void> {
  assert.equal([...tensor.shape], wanted.shape, what);
  const { error } = compare(what, (await tensor.read()) as Float32Array, wanted);
  assert.ok(error < tolerance, `${what}: ${error}`);
  tensor.dispose();
}

const runs = precisions.flatMap((one) => fixture.cases.map((sample) => ({ ...one, ...sample })));
for (const { title, config, shapes, results, precision, tolerance } of runs) {
  test(`${title}, ${precision}`, async () => {
    if (precision === "f16" && !engine.hasF16) {
      console.log(`\nskipped: ${title}, ${precision} (the adapter has no f16)`);
      return;
    }
    const plan = await planImport(namedCheckpoint(shapes, fixture.scale), { config, tokens, partial: true });
    requireWhole(plan);
    assert.equal(plan.unexpected, []);
    const isText = results.pooled === undefined;
    const specs = isText ? bertSpecs(plan.model, plan.vocabulary.length) : vitSpecs(plan.model);
    const own = new Set(specs.map(({ name }) => name));
    // Nothing but the rest of CASE, which the file has not.
    const fresh = plan.fresh.flatMap(({ names }) => names).filter((name) => own.has(name));
    const lacking = /crossattention/;
    assert.equal(
      fresh.filter((name) => !lacking.test(name) && !/word_embeddings/.test(name)),
      [],
    );
    const parameters = new Parameters(engine, specs, () => false, precision);
    await parameters.stream(new Map(plan.parameters.map((one) => [one.name, one])));
    if (isText) {
      const shape = [fixture.ids.length, fixture.ids[0].length];
      const ids = engine.tensor(fixture.ids.flat(), shape, "u32");
      const mask = engine.tensor(
        fixture.ids.flat().map((id) => Number(id !== 0)),
        shape,
        "u32",
      );
      const encoded = engine.inference(() => bert(parameters, plan.model.text, { ids, mask }, null));
      await holds("tokens", encoded, results.tokens, tolerance);
      for (const tensor of [ids, mask]) tensor.dispose();
    } else {
      const { size } = fixture;
      const pixels = engine.tensor(namedValues(`pixels ${size}`, 2 * 3 * size * size, 2), [2, 3, size, size]);
      const seen = engine.inference(() => vit(parameters, plan.model.vision, cast(pixels, precision)));
      const pooled = engine.inference(() => poolTokens(parameters, plan.model.vision, seen));
      await holds("pooled", pooled, results.pooled!, tolerance);
      await holds("tokens", seen, results.tokens, tolerance);
      pixels.dispose();
    }
    parameters.dispose();
  });
}

const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
const half = [0.5, 0.5, 0.5];
const clip = {
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
};
const hub = { do_normalize: true, do_resize: true, image_mean: imagenet.mean, image_std: imagenet.std };
/** Files as they lie beside published models, cut to the sizes here, and how pictures are prepared. */
const beside: [title: string, preprocessor: unknown, wanted: object][] = [
  [
    "ViT",
    { ...hub, image_mean: half, image_std: half, resample: 2, size: { height: 32, width: 32 } },
    { fit: "squash", zoom: 1, filter: "bilinear", mean: half, std: half },
  ],
  [
    "ViT by its defaults",
    { feature_extractor_type: "ViTFeatureExtractor", size: 32 },
    { fit: "squash", zoom: 1, filter: "bilinear", mean: half, std: half },
  ],
  [
    "SigLIP by its defaults",
    { image_processor_type: "SiglipImageProcessorFast", size: { height: 32, width: 32 } },
    { fit: "squash", zoom: 1, filter: "bicubic", mean: half, std: half },
  ],
  [
    "DeiT",
    {
      ...hub,
      crop_size: 32,
      do_center_crop: true,
      feature_extractor_type: "DeiTFeatureExtractor",
      resample: 3,
      size: 40,
    },
    { fit: "squash", zoom: 1.25, filter: "bicubic", ...imagenet },
  ],
  [
    "DINOv2",
    {
      ...hub,
      ...{
        crop_size: { height: 32, width: 32 },
        do_center_crop: true,
        do_convert_rgb: true,
        do_rescale: true,
      },
      ...{ image_processor_type: "BitImageProcessor", resample: 3, rescale_factor: 0.00392156862745098 },
      size: { shortest_edge: 40 },
    },
    { fit: "crop", zoom: 1.25, filter: "bicubic", ...imagenet },
  ],
  [
    "CLIP's first",
    {
      ...hub,
      ...clip,
      crop_size: 32,
      do_center_crop: true,
      feature_extractor_type: "CLIPFeatureExtractor",
      resample: 3,
      size: 32,
    },
    { fit: "crop", zoom: 1, filter: "bicubic", mean: clip.image_mean, std: clip.image_std },
  ],
  [
    "no normalising",
    { ...hub, do_normalize: false, size: { height: 32, width: 32 } },
    { mean: [0, 0, 0], std: [1, 1, 1] },
  ],
  [
    "another size than the table's",
    { ...hub, size: { height: 48, width: 48 } },
    { imageSize: 48, fit: "squash" },
  ],
];

const dinov2 = fixture.cases.find(({ title }) => title.startsWith("Dinov2Model"))!;
const planned = (preprocessor: unknown, ignore: string[] = [], processor: unknown = null) => {
  const beside = { config: dinov2.config, preprocessor, processor };
  return planImport(namedCheckpoint(dinov2.shapes), { ...beside, ignore, partial: true });
};
const messageOf = (work: Promise<unknown>) =>
  work.then(
    () => "",
    (thrown: Error) => thrown.message,
  );

for (const [title, preprocessor, wanted] of beside) {
  test(`pictures as ${title} has them`, async () => {
    const { vision } = (await planned(preprocessor)).model;
    assert.equal(Object.fromEntries(Object.keys(wanted).map((key) => [key, vision[key as "fit"]])), wanted);
    const nested = { image_processor: preprocessor, processor_class: "BlipProcessor" };
    assert.equal((await planned(null, [], nested)).model.vision, vision);
  });
}

test("what is not computed of a preprocessor is refused by its name, unless the user sets it aside", async () => {
  for (const [field, value] of [
    ["resample", 1],
    ["do_pad", true],
    ["rescale_factor", 1],
    ["image_processor_type", "ConvNextImageProcessor"],
    ["size", { longest_edge: 4 }],
  ] as const) {
    const wrong = { ...hub, [field]: value };
    const error = await planned(wrong).then(
      () => null,
      (thrown: Error) => thrown,
    );
    assert.match(`${error?.message}`, `preprocessor_config.json:${field}`);
    await planned(wrong, [`preprocessor_config.json:${field}`]);
    const nested = "processor_config.json:image_processor";
    assert.match(await messageOf(planned(null, [], { image_processor: wrong })), `${nested}.${field}`);
    await planned(null, [`${nested}.${field}`], { image_processor: wrong });
  }
  const misspelt = await planned(null, ["blocks.*.rope"]).then(
    () => null,
    (thrown: Error) => thrown,
  );
  assert.match(`${misspelt?.message}`, /nothing is called so/);
  const other = { image_processor: { ...hub, image_std: half } };
  assert.match(await messageOf(planned(hub, [], other)), /prepare pictures in two ways/);
  const { vision } = (await planned(hub, ["processor_config.json:image_processor"], other)).model;
  assert.equal(vision.std, imagenet.std);
  assert.equal((await planned({ ...hub }, [], { image_processor: hub })).model.vision.std, imagenet.std);
});

test("a norm behind the pooling is refused in a BLIP, with a class token and without", async () => {
  const norm = "visual_encoder.fc_norm.weight";
  for (const { title, shapes } of fixture.cases.filter(({ shapes }) => "fc_norm.weight" in shapes)) {
    const named = Object.entries(shapes).map(([name, shape]) => [`visual_encoder.${name}`, shape]);
    const blip = { ...Object.fromEntries(named), "text_encoder.embeddings.word_embeddings.weight": [24, 32] };
    assert.match(
      await messageOf(planImport(namedCheckpoint(blip), { heads: 4, partial: true })),
      norm,
      title,
    );
  }
});

test("fields that say two things of one are refused by both names", async () => {
  const timm = fixture.cases.find(({ title }) => title.includes("global_pool=avg"))!;
  const config = timm.config as { global_pool: string; model_args: object };
  const plan = (config: unknown) => planImport(namedCheckpoint(timm.shapes), { config, partial: true });
  assert.is((await plan(config)).model.vision.pooling, "mean");
  for (const pooling of ["token", "map", ""]) {
    assert.match(
      await messageOf(plan({ ...config, global_pool: pooling })),
      /model_args\.global_pool = "avg" contradicts config\.json:global_pool/,
    );
  }
  const colours = { mean: half, pretrained_cfg: { mean: imagenet.mean } };
  assert.match(await messageOf(plan({ ...config, ...colours })), /pretrained_cfg\.mean.*contradicts/);
  assert.match(await messageOf(plan({ ...config, model_args: [1] })), /model_args = \[1\]/);
});

test("a vocabulary's size is the word table's, but for added and padding rows", async () => {
  const bert = fixture.cases.find(({ title }) => title.startsWith("BertModel"))!;
  const plan = (words: number) =>
    planImport(namedCheckpoint(bert.shapes), {
      ...{ config: { ...(bert.config as object), vocab_size: words }, tokens, partial: true },
    });
  for (const words of [24, 22, 21, 17]) await plan(words);
  for (const words of [5, 12, 16, 25, 30_522]) {
    assert.match(await messageOf(plan(words)), `vocab_size is ${words}, but`, `${words}`);
  }
});

test("every parameter of every part gets the gradient that differences give", async () => {
  const config = modelSchema.parse({
    vision: {
      ...{ imageSize: 8, patchSize: 4, width: 16, depth: 2, heads: 2, mlpRatio: 1.5, activation: "geluTanh" },
      ...{ registers: 2, preNorm: true, queryKeyNorm: true, pooling: "attention", finalNorm: "pooled" },
    },
    initializerRange: 0.2,
    embeddingRange: 0.5,
  });
  const { vision } = config;
  const parameters = new Parameters(engine, vitSpecs(config));
  const shapes = Object.fromEntries(parameters.specs.map(({ name, shape }) => [name, [...shape]]));
  const { tensors } = namedCheckpoint(shapes, 0.4);
  const values = new Map<string, { shape: readonly number[]; data: Float32Array }>();
  for (const [name, { shape, read }] of tensors) values.set(name, { shape, data: await read() });
  const pixels = engine.tensor(namedValues("pixels 8", 2 * 3 * 64, 2), [2, 3, 8, 8]);
  const factors = engine.tensor(namedValues("factors", 2 * 16, 1), [2, 16]);
  const loss = () => sum(mul(poolTokens(parameters, vision, vit(parameters, vision, pixels)), factors));
  const lossOf = async () => ((await engine.inference(loss).read()) as Float32Array)[0]!;
  parameters.load(values);
  parameters.clearGradients();
  engine.scope(() => backward(loss()));
  const step = 2 ** -6;
  for (const { name } of parameters.specs) {
    const { data } = values.get(name)!;
    const gradient = (await parameters.get(name).grad!.read()) as Float32Array;
    // Along one direction for each parameter, so that all of its elements count.
    const along = namedValues(`along ${name}`, data.length, 1);
    const at = async (sign: number) => {
      values.set(name, {
        ...values.get(name)!,
        data: data.map((value, i) => value + sign * step * along[i]!),
      });
      parameters.load(values);
      return lossOf();
    };
    const difference = ((await at(1)) - (await at(-1))) / (2 * step);
    values.set(name, { ...values.get(name)!, data });
    const slope = gradient.reduce((total, value, i) => total + value * along[i]!, 0);
    // As large as such a sum is when its terms have nothing to do with one another. What moves all keys alike has none:
    // softmax does not see it.
    const usual = (Math.hypot(...gradient) * Math.hypot(...along)) / Math.sqrt(data.length);
    assert.ok(Math.abs(slope - difference) < 0.02 * usual + 1e-3, `${name}: ${slope}, not ${difference}`);
  }
  for (const one of [parameters, pixels, factors]) one.dispose();
});

test("the fixture has what it is there for", () => {
  const titles = fixture.cases.map(({ title }) => title).join("\n");
  for (const kind of [
    "deit3",
    "reg4_dinov2",
    "distilled",
    "quickgelu",
    "siglip_256",
    "gap",
    "qk_norm",
    "Siglip",
  ])
    assert.ok(titles.includes(kind), kind);
});

test.after(() => engine.dispose());
test.run();
