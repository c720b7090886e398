// The command line as a process: its streams, and an exit status whatever happens.
import { signals } from "./interrupt.ts";
import { failure, main } from "./main.ts";
import { Output, type Sink, write } from "./output.ts";

const args = process.argv.slice(2);
/** relay.mjs keeps standard output for results alone, behind a descriptor of another number. */
const results = Number(process.env.CASEMENT_RESULTS ?? 1);
delete process.env.CASEMENT_RESULTS;
const sink: Sink = { out: (text) => write(results, text), err: (text) => write(2, text) };

process.on("uncaughtException", (error) => {
  process.exit(failure(args, new Output(sink, args.includes("--json")), error));
});
// Bars are drawn on a stream of Node's; where its reader has gone there is nobody to tell.
process.stderr.on("error", () => {});
// What casement.mjs does until here.
for (const signal of signals) process.removeAllListeners(signal);
process.exit(await main(args, sink));
