// The op table in Deno: a line of JSON says which cases will be asked for, then their names come in as lines and results go
// out as lines of JSON.
import { opsSide } from "../browser/ops.ts";

declare const Deno: { stdin: { readable: ReadableStream<BufferSource> } };

/** JSON has no NaN and no infinity; the test turns the words back into numbers. */
const answer = (value: unknown) =>
  console.log(
    JSON.stringify(value, (_, at) => (typeof at === "number" && !Number.isFinite(at) ? `${at}` : at)),
  );

let opened = false;
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\n");
  rest = lines.pop()!;
  for (const name of lines) {
    if (!opened) {
      answer({ adapter: await opsSide.open(JSON.parse(name)) });
      opened = true;
      continue;
    }
    answer(await opsSide.run(name).catch((error: Error) => ({ error: error.stack ?? `${error}` })));
  }
}
