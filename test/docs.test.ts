// The examples of the docs run as they stand there: each block of a page by itself, in a process of its own.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("..", import.meta.url));
const pages = ["docs/engine.md", "docs/limits.md"];
const url = (path: string) => pathToFileURL(join(root, path)).href;
/** An example asserts as the tests do. */
const prelude = `import * as assert from ${JSON.stringify(url("node_modules/uvu/assert/index.mjs"))};\n`;

const folder = await mkdtemp(join(tmpdir(), "casement-docs-"));
await writeFile(join(folder, "package.json"), '{ "type": "module" }');
test.after(() => rm(folder, { recursive: true }));

for (const page of pages) {
  const text = await readFile(join(root, page), "utf8");
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => match[1]!);
  test(`${page} has examples`, () => {
    assert.ok(blocks.length > 0);
  });
  for (const [i, block] of blocks.entries()) {
    test(`${page}, example ${i + 1}`, async () => {
      const code = block.replace(/"casement\/(\w+)"/g, (_, part) => JSON.stringify(url(`${part}/index.ts`)));
      const file = join(folder, `${page.replace(/\W/g, "-")}-${i}.ts`);
      await writeFile(file, prelude + code);
      const run = promisify(execFile)(process.execPath, ["--import", "./cli/register.mjs", file], {
        cwd: root,
      });
      await run.catch((error) => assert.unreachable(error.stderr));
    });
  }
}

test.run();
