// Random programs against float64: the first 300. One that fails is shortened and listed with its seed N;
// `node --import ./cli/register.mjs test/programs/main.ts --seed N` repeats it, and with `--count` runs any number.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { search } from "./programs/search.ts";

const count = 300;

test(`${count} random programs give what float64 says, leak nothing and leave the engines alive`, async () => {
  const failures = await search({ from: 1, count });
  const reports = failures.map(({ seed, message, listing }) => `seed ${seed}: ${message}\n${listing}\n`);
  assert.is(reports.join("\n"), "", `seeds 1 to ${count}`);
});

test.run();
