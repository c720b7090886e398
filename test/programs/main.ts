// Random programs from the command line:
//   node --import ./cli/register.mjs test/programs/main.ts [--seed N] [--count N] [--failures N] [--whole] [--list]
// Runs `count` programs from seed N on, up to so many different failures; with `--whole` those are not shortened.
// `--list` prints the programs instead.
import { parseArgs } from "node:util";
import { generate } from "./generate.ts";
import { search } from "./search.ts";
import { prune } from "./shrink.ts";
import { listing } from "./statements.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    count: { type: "string", default: "1" },
    failures: { type: "string", default: "1" },
    list: { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
  },
});
const [from, count] = [Number(values.seed), Number(values.count)];

if (values.list) {
  for (let seed = from; seed < from + count; seed++)
    console.log(`// seed ${seed}\n${listing(prune(generate(seed, { halves: true })))}\n`);
} else {
  const start = performance.now();
  const failures = await search({
    ...{ from, count, failures: Number(values.failures), shorten: !values.whole },
    progress(done, { engines }) {
      if (done % 100 !== 0) return;
      const seconds = ((performance.now() - start) / 1000).toFixed(0);
      const { pipelines, buffers, peakBytes } = engines.A.stats();
      const { heapUsed, rss } = process.memoryUsage();
      const [heap, all] = [heapUsed, rss].map((bytes) => (bytes / 2 ** 20).toFixed(0));
      console.log(
        `${done} programs, ${seconds} s, ${pipelines} pipelines, ${buffers} buffers, peak ${peakBytes} bytes, heap ${heap} of ${all} MiB`,
      );
    },
  });
  for (const { seed, others, message, listing: text } of failures) {
    const more =
      others.length > 0 ? ` (so do ${others.length} others: ${others.slice(0, 10).join(", ")})` : "";
    console.log(`seed ${seed} fails${more}: ${message}\n${text.replace(/^/gm, "    ")}\n`);
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`seeds ${from} to ${from + count - 1}: ${failures.length} failed, ${seconds} s`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
