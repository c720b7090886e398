// `npm run web`: builds the page and serves it, or with --out writes it for any other server.
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { cacheFolder } from "../../train/place.ts";
import { serve } from "./serve.ts";
import { buildSite } from "./site.ts";

const usage = `npm run web -- [--out DIR] [--host ADDRESS] [--port N]

  --out DIR       write the page there for any server, and end
  --host ADDRESS  where to listen; 127.0.0.1, this machine alone, unless told
  --port N        4173 unless told; the next one where that is taken`;

/** Ends with a message and the status of arguments that can't be understood. */
function refuse(message: string): never {
  console.error(`${message}\n\n${usage}`);
  process.exit(2);
}

function readArguments() {
  try {
    const text = { type: "string" } as const;
    return parseArgs({ options: { out: text, host: text, port: text, help: { type: "boolean" } } }).values;
  } catch (error) {
    return refuse((error as Error).message);
  }
}

const { out, host, port = "4173", help } = readArguments();
if (help) {
  console.log(usage);
  process.exit(0);
}
if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) refuse(`--port ${port} is no port`);
if (out === "") refuse("--out has no folder");
const folder = out === undefined ? join(cacheFolder, "site") : resolve(out);
try {
  await buildSite(folder, (line) => console.log(line));
  if (out !== undefined) {
    console.log(`The page is in ${out}; any server that sends .js and .webp by their types will do.`);
  } else {
    const { address } = await serve(folder, { host, port: Number(port) });
    console.log(`The page is at ${address}; Ctrl-C ends the server.`);
  }
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
