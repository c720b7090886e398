// Random checkpoints from the command line:
//   node --import ./cli/register.mjs test/checkpoints/main.ts [--seed N] [--from N] [--count N] [--failures N]
// Plays `count` samples of a seed, from one on, and prints up to so many that fail.
import { parseArgs } from "node:util";
import { search } from "./search.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    from: { type: "string", default: "0" },
    count: { type: "string", default: "2000" },
    failures: { type: "string", default: "5" },
  },
});
const [seed, from, count, most] = [values.seed, values.from, values.count, values.failures].map(Number) as [
  number,
  number,
  number,
  number,
];
const start = performance.now();
const { failures, loaded, refused, worst } = await search({ seed, from, count, most });
for (const { round, failure } of failures) console.log(`seed ${seed}, round ${round}: ${failure}\n`);
const seconds = ((performance.now() - start) / 1000).toFixed(0);
console.log(
  `${loaded} loaded and equal within ${worst.toExponential(1)}, ${refused} refused by name, ${failures.length} failed, ${seconds} s`,
);
process.exitCode = failures.length > 0 ? 1 : 0;
