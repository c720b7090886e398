// Random checkpoints against a forward pass of the generator's own: the first 300. One that fails is told with its round;
// `node --import ./cli/register.mjs test/checkpoints/main.ts --from ROUND --count 1` repeats it, and `--seed` and
// `--count` run others.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { generate, type Sample } from "./checkpoints/generate.ts";
import { search } from "./checkpoints/search.ts";

const count = 300;

test(`${count} random checkpoints load to what float64 says, or are refused by what is wrong with them`, async () => {
  const { failures, loaded, refused } = await search({ seed: 1, count });
  assert.is(failures.map(({ round, failure }) => `round ${round}: ${failure}`).join("\n"), "");
  // Most are sound, and many are not.
  assert.ok(loaded > count / 2 && refused > count / 6, `${loaded} loaded, ${refused} refused`);
});

test("the samples have everything that there is to load and to refuse", () => {
  const samples = Array.from({ length: count }, (_, round) => generate(1, round));
  const sound = samples.filter(({ broken, open }) => !broken && !open);
  const kinds: Record<string, (sample: Sample) => unknown> = {
    LayerScale: ({ vision }) => vision?.blocks[0]?.scale1,
    "a norm in front": ({ vision }) => vision?.preNorm,
    "norms of queries and keys": ({ vision }) => vision?.blocks[0]?.queryNorm,
    registers: ({ vision }) => vision?.registers.length,
    "no class token": ({ vision }) => vision && !vision.cls,
    "positions of patches alone": ({ vision }) => vision?.placed === "patches",
    "the mean of patches": ({ vision }) => vision?.pooling === "mean",
    "pooling by attention": ({ vision }) => vision?.pooling === "attention",
    "a norm of what is pooled": ({ vision }) => vision?.normAfter,
    "no biases": ({ vision }) => vision && !vision.blocks[0]!.query.bias,
    "another GELU in pictures": ({ vision }) => vision && vision.act !== "gelu",
    "another GELU in texts": ({ text }) => text && text.act !== "gelu",
    "no config.json": ({ config }) => !config,
    "how pictures are prepared": ({ pixels }) => pixels,
    "something set aside": ({ ignore }) => ignore.length,
    ...Object.fromEntries(
      ["timm", "vit", "newVit", "dinov2", "clip", "siglip", "bert", "blip", "hubBlip"].map((name) => [
        `${name}'s names`,
        ({ naming }: Sample) => naming === name,
      ]),
    ),
  };
  for (const [what, has] of Object.entries(kinds)) assert.ok(sound.some(has), what);
  const wrong = new Set(samples.flatMap(({ broken }) => broken?.what ?? []));
  assert.equal([...wrong].sort(), [
    "a strange tensor",
    "a tensor lacks",
    "another shape",
    "config.json",
    "preprocessor_config.json",
    "tokenizer_config.json",
    "whole numbers for weights",
  ]);
});

test.run();
