// Every case of the op table on the engines of op-engines.ts, against float64: here all but those that have files of their own.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allCases } from "../cases/table.ts";
import { testEngines } from "./op-engines.ts";

test("names are unique", () => {
  assert.equal(new Set(allCases.map((opCase) => opCase.name)).size, allCases.length);
});

await testEngines((label) => !["without subgroups", "in parts", "wide rows"].includes(label));

test.run();
