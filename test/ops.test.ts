// Every case of the op table on the engines of op-engines.ts, against float64: here all but those that have files of their own.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { allCases } from "../cases/table.ts";
import { sizeOf } from "../engine/index.ts";
import { testEngines } from "./op-engines.ts";

test("names are unique", () => {
  assert.equal(new Set(allCases.map((opCase) => opCase.name)).size, allCases.length);
});

test("every op has a case without elements, and one of a single element", () => {
  const count = ({ inputs }: OpCase) => inputs.map(({ shape }) => sizeOf(shape));
  const opOf = ({ name }: OpCase) => name.split(" ")[0]!;
  const plain = allCases.filter(
    ({ name }) => !/^((beside itself|\S+), |product |(one|ties|zeros|denormals) )/.test(name),
  );
  const lacking = (fits: (sizes: number[]) => boolean) => {
    const found = new Set(plain.filter((opCase) => fits(count(opCase))).map(opOf));
    return [...new Set(plain.map(opOf))].filter((op) => !found.has(op)).sort();
  };
  // Losses have a goal in each row, halves come in pairs, and heads are of four columns.
  const none = ["contrastive", "recall", "packHalves", "unpackHalves", "pixelsToFloat"];
  const inPlace = ["clampInPlace", "accumulateInto"];
  assert.equal(
    lacking((sizes) => sizes.includes(0)),
    [...none, ...inPlace].sort(),
  );
  const single = ["recall", "packHalves", "unpackHalves", "pixelsToFloat", "crossAttention", "selfAttention"];
  assert.equal(
    lacking((sizes) => sizes[0] === 1),
    [...single, ...inPlace].sort(),
  );
});

await testEngines((label) => !["without subgroups", "in parts", "wide rows"].includes(label));

test.run();
