// The pages: their links lead somewhere, and every block of code is run by a test. Here run the examples in TypeScript, as
// they stand there, each by itself in a process of its own; commands on small data run in the tests that `runners` names. Those
// that take minutes or make a machine ready are held to what they start.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (path: string) => readFileSync(join(root, path), "utf8");
const pagesIn = (folder: string) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `${folder}/${name}`);
const pages = [
  ...["README.md", "examples/README.md", "examples/fine-tune/README.md"],
  ...pagesIn("docs"),
  ...pagesIn("docs/guides"),
];
const blocksOf = (page: string) =>
  Array.from(read(page).matchAll(/^```(\w*)\n(.*?)^```$/gms), ([, language, text]) => ({
    language: language!,
    text: text!,
  }));

/** The test that runs a page's blocks in a language. */
const runners: Record<string, string> = {
  "README.md ts": "package",
  "docs/checkpoints.md sh": "docs-commands",
  ...{ "docs/data.md sh": "docs-data", "docs/data.md json": "docs-data", "docs/data.md python": "docs-data" },
  ...{ "docs/training.md sh": "docs-training", "docs/guides/train.md sh": "docs-training" },
  "docs/guides/profile.md sh": "docs-training",
  "docs/roam.md sh": "roam-model",
  "examples/fine-tune/README.md sh": "examples",
};

/** What has the options of a command that a page shows. */
function optionsOf(command: string): string {
  const [program, ...words] = command.split(" ");
  const { scripts } = JSON.parse(read("package.json"));
  if (program === "npm" && words[0] === "ci") return "";
  if (program === "npm") {
    const script = scripts[words[0] === "run" ? words[1]! : words[0]!];
    assert.ok(script, command);
    const file = script.split(" ").findLast((word: string) => /\.(mjs|ts)$/.test(word));
    return script + read(file);
  }
  if (program === "node") return read(words.findLast((word) => /^(test|bench)\S+\.(mjs|ts)$/.test(word))!);
  assert.is(`${program} ${words[0]}`, "npx casement", command);
  return execFileSync(process.execPath, ["cli/casement.mjs", words[1]!, "--help"], {
    cwd: root,
    encoding: "utf8",
  });
}

test("every block of code is run by a test", () => {
  for (const page of pages) {
    for (const { language, text } of blocksOf(page)) {
      const runner = runners[`${page} ${language}`];
      if (runner) assert.ok(read(`test/${runner}.test.ts`).includes(page.replace(/^examples\//, "")), page);
      else if (language === "console") {
        const commands = text.replaceAll("\\\n", " ").trim().split("\n");
        for (const line of commands) {
          const command = line.replace(/ +#.*/, "");
          if (command.startsWith("export ")) continue;
          const known = optionsOf(command);
          for (const [option] of command.matchAll(/(?<= )--\w[\w-]*/g))
            if (option !== "--import") assert.ok(known.includes(option.slice(2)), `${page}: ${line}`);
        }
        // Of "text" is what is printed, and how folders look.
      } else if (page === "README.md" || language !== "text") assert.is(language, "ts", `${page}: ${text}`);
    }
  }
});

test("no link leads nowhere", () => {
  const anchors = (path: string) =>
    Array.from(read(path).matchAll(/^#+ (.*)$/gm), ([, heading]) =>
      heading!
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    );
  const dead: string[] = [];
  let links = 0;
  for (const page of pages) {
    const prose = read(page).replace(/^```.*?^```$/gms, "");
    for (const [, link] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(link!)) continue;
      links++;
      const [path, anchor] = link!.split("#");
      const to = path ? join(dirname(page), path) : page;
      // A site has no page for a folder.
      const file = statSync(join(root, to), { throwIfNoEntry: false });
      if (!file?.isFile() || (anchor && !anchors(to).includes(anchor))) dead.push(`${page}: ${link}`);
    }
    for (const [, path] of prose.matchAll(/(?<![\w/.])(docs\/[\w/-]+\.md)/g))
      if (!existsSync(join(root, path!))) dead.push(`${page}: ${path}`);
  }
  assert.equal(dead, []);
  assert.ok(links > 30, `${links} links`);
});

test("one site holds all of it, with no dead link and nothing undocumented", async () => {
  const out = await mkdtemp(join(tmpdir(), "casement-site-"));
  const build = promisify(execFile)(process.execPath, ["docs/typedoc/build.mjs", "--out", out], {
    cwd: root,
  });
  const failed = await build.then(
    () => null,
    (error) => error,
  );
  // Nothing else here needs a network once the project's own packages are there.
  if (failed?.code === 3) return console.log("\nskipped: the site (npm can't get TypeDoc)");
  assert.not(failed, `${failed?.stdout}${failed?.stderr}`);
  const names = readdirSync(join(out, "documents"));
  assert.is(names.length, pages.length - 1, "a page each, but for the README");
  for (const name of [
    "documents/Write_a_kernel",
    "functions/casement_kernels.linear",
    "classes/casement_engine.Engine",
  ])
    assert.ok(existsSync(join(out, `${name}.html`)), name);
  await rm(out, { recursive: true });
});

const url = (path: string) => pathToFileURL(join(root, path)).href;
/** An example asserts as the tests do. */
const prelude = `import * as assert from ${JSON.stringify(url("node_modules/uvu/assert/index.mjs"))};\n`;
const modules: Record<string, string> = { driver: "cases/driver.ts" };

const folder = await mkdtemp(join(tmpdir(), "casement-docs-"));
await writeFile(join(folder, "package.json"), '{ "type": "module" }');
await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
test.after(() => rm(folder, { recursive: true }));

for (const page of pages) {
  if (runners[`${page} ts`]) continue;
  const blocks = blocksOf(page).filter(({ language }) => language === "ts");
  for (const [i, { text }] of blocks.entries()) {
    test(`${page}, example ${i + 1}`, async () => {
      const code = text.replace(/"casement\/(\w+)"/g, (_, part) =>
        JSON.stringify(url(modules[part] ?? `${part}/index.ts`)),
      );
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
