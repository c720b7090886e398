// Vision transformers and BERTs that are not built as BLIP's are, in timm's and in transformers' names, hold against what
// these compute: DeiT III, DINOv2 with registers, CLIP's and SigLIP's vision models among them. Fixture:
// reference/encoders.py.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Engine, type Tensor } from "../engine/index.ts";
import { bert, bertSpecs } from "../model/bert.ts";
import { planImport, requireWhole } from "../model/checkpoint/plan.ts";
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
/** Of the largest element: float32 over two layers against float64. */
const tolerance = 1e-5;

const engine = await Engine.create({ poison: true });

async function holds(what: string, tensor: Tensor, wanted: Digest): Promise<void> {
  assert.equal([...tensor.shape], wanted.shape, what);
  const { error } = compare(what, (await tensor.read()) as Float32Array, wanted);
  assert.ok(error < tolerance, `${what}: ${error}`);
  tensor.dispose();
}

for (const { title, config, shapes, results } of fixture.cases) {
  test(title, async () => {
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
    const parameters = new Parameters(engine, specs, () => false);
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
      await holds("tokens", encoded, results.tokens);
      for (const tensor of [ids, mask]) tensor.dispose();
    } else {
      const { size } = fixture;
      const pixels = engine.tensor(namedValues(`pixels ${size}`, 2 * 3 * size * size, 2), [2, 3, size, size]);
      const seen = engine.inference(() => vit(parameters, plan.model.vision, pixels));
      const pooled = engine.inference(() => poolTokens(parameters, plan.model.vision, seen));
      await holds("pooled", pooled, results.pooled!);
      await holds("tokens", seen, results.tokens);
      pixels.dispose();
    }
    parameters.dispose();
  });
}

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
