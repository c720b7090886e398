// casement as an app gets it: what comes with it, its types, the README's example on the app's own GPUDevice, and the command
// line.
import { execFileSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gelu } from "../cases/reference.ts";
import { commandLinePackages, emojiPackages } from "../train/place.ts";
import { installPacked, root, tool } from "./packed.ts";
import { beside, safetensors } from "./small-blip.ts";

const app = await installPacked({ types: true });
test.after(() => app.remove());

/** The README's example after `prelude`. */
async function writeExample(file: string, prelude: string): Promise<void> {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  await writeFile(join(app.folder, file), `${prelude}\n${example}`);
}

test("two small packages come with it, all others are asked for by those who need them", () => {
  const { dependencies, peerDependencies, peerDependenciesMeta } = app.manifest;
  assert.equal(Object.keys(dependencies), ["@huggingface/tokenizers", "zod"]);
  const optional = [...commandLinePackages, ...emojiPackages].toSorted();
  assert.equal(Object.keys(peerDependencies).toSorted(), optional);
  assert.ok(optional.every((name) => peerDependenciesMeta[name]?.optional));
});

test("what is packed is what is built, and the configurations", () => {
  const files = execFileSync("tar", ["-tzf", app.tarball], { encoding: "utf8" }).trim().split("\n");
  const others = files.filter((file) => !/^package\/(dist|train\/configs)\//.test(file));
  const expected = ["README.md", "cli/casement.mjs", "cli/relay.mjs", "package.json"];
  assert.equal(
    others.toSorted(),
    expected.map((file) => `package/${file}`),
  );
  assert.not(files.some((file) => /(?<!\.d)\.ts$/.test(file)));
});

test("publint and arethetypeswrong find nothing", () => {
  for (const [script, ...args] of [
    ["publint/src/cli.js", "run", "--strict", app.tarball],
    ["@arethetypeswrong/cli/dist/index.js", app.tarball],
  ]) {
    try {
      execFileSync(process.execPath, [tool(script!), ...args], { cwd: root, encoding: "utf8" });
    } catch (error) {
      assert.unreachable((error as { stdout: string }).stdout);
    }
  }
});

test("the README's example and all that an app imports type-check", async () => {
  await writeExample("example.ts", "declare const device: GPUDevice;");
  const parts = ["engine", "kernels", "model", "train", "emoji", "driver"];
  await writeFile(
    join(app.folder, "all.ts"),
    parts.map((part) => `export * as ${part} from "casement/${part}";`).join("\n"),
  );
  const options = { module: "nodenext", target: "es2024", strict: true, noEmit: true };
  const compilerOptions = { ...options, lib: ["es2024", "dom"], types: [] };
  await writeFile(
    join(app.folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions, files: ["example.ts", "all.ts"] }),
  );
  app.node(tool("typescript/bin/tsc"), "--project", ".");
});

test("nothing that an app imports needs Node", async () => {
  const seen = new Map<string, string>();
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return;
    const text = await readFile(file, "utf8");
    seen.set(file, text);
    for (const [, to] of text.matchAll(/(?:from|import|import\() ?"(\.[^"]+)"/g))
      await visit(join(file, "..", to!));
  };
  for (const part of ["engine/index", "kernels/index", "model/index", "train/index", "cases/driver"])
    await visit(join(app.folder, `node_modules/casement/dist/${part}.js`));
  assert.ok(seen.size > 150);
  const needing = [...seen].filter(([, text]) => /["']node:/.test(text));
  assert.equal(
    needing.map(([file]) => file),
    [],
  );
});

test("the command line says the one command that adds what it needs", () => {
  const { status, stderr } = app.casement(["doctor"]);
  assert.is(status, 1);
  const command = stderr.trim().split("\n").at(-1)!.trim();
  const versions = commandLinePackages.map((name) => `${name}@${app.manifest.devDependencies[name]}`);
  assert.is(command, `npm install ${versions.join(" ")}`);

  const { error } = JSON.parse(app.casement(["eval", "--run", "nowhere", "--json"]).stdout);
  assert.ok(error.endsWith(command));
  assert.match(app.casement(["--help"]).stdout, /^casement COMMAND OPTIONS/);
  assert.is(app.casement(["train", "--confg"]).status, 2);
});

test("the README's example runs on the app's own device", async () => {
  await app.add("webgpu");
  await writeExample(
    "example.js",
    `import { create } from "webgpu";
     const gpu = (globalThis.gpu = create([]));
     const device = await (await gpu.requestAdapter()).requestDevice();
     process.on("exit", () => device.destroy());`,
  );
  const printed = app
    .node("example.js")
    .match(/-?\d+\.\d+/g)!
    .map(Number);
  // d mean(gelu(x wᵀ)) / dw by central differences of gelu in float64.
  const [x, w] = [
    [1, 2, 3, 4],
    [0.5, -1, 2, 0.25],
  ];
  const loss = (weights: number[]) => {
    let sum = 0;
    for (const i of [0, 2])
      for (const o of [0, 2]) sum += gelu(x[i]! * weights[o]! + x[i + 1]! * weights[o + 1]!);
    return sum / 4;
  };
  const expected = w.map((_, at) => {
    const moved = (step: number) => loss(w.map((value, i) => (i === at ? value + step : value)));
    return (moved(1e-5) - moved(-1e-5)) / 2e-5;
  });
  assert.is(printed.length, 4);
  for (const [i, value] of expected.entries()) assert.ok(Math.abs(printed[i]! - value) < 1e-5);
});

test("the installed command line imports a checkpoint and searches a folder, as the repository's does", async () => {
  await app.add(...commandLinePackages.filter((name) => name !== "webgpu"));
  const at = (...path: string[]) => join(app.folder, ...path);
  await mkdir(at("blip"));
  await mkdir(at("pictures"));
  for (const [name, content] of Object.entries({ ...beside, "model.safetensors": safetensors() }))
    await writeFile(at("blip", name), content);
  // As many as make it decode in threads.
  for (let i = 0; i < 70; i++) {
    const background = { r: (i * 37) % 256, g: (i * 101) % 256, b: (i * 59) % 256 };
    const picture = sharp({ create: { width: 16, height: 16, channels: 3, background } });
    await picture.png().toFile(at("pictures", `${i}.png`));
  }
  const search = ["search", "--data", "folder", "--root", at("pictures"), "--run", at("imported"), "--json"];
  const query = ["--image", at("pictures/5.png"), "--text", "a b c", "-k", "5"];
  const imported = app.casement(["import", at("blip"), "--out", at("imported")]);
  assert.is(imported.status, 0, imported.stderr);
  const found = app.casement([...search, ...query]);
  assert.is(found.status, 0, found.stderr);
  const { answers } = JSON.parse(found.stdout);
  assert.is(answers.length, 5);
  const own = app.node(join(root, "cli/casement.mjs"), ...search, ...query);
  assert.equal(JSON.parse(own).answers, answers);
});

test("a data set's packages are asked for where it is used", () => {
  const config = join(app.folder, "node_modules/casement/train/configs/emoji-tiny.json");
  const { status, stderr } = app.casement(["train", "--config", config, "--out", "run"]);
  assert.is(status, 1);
  const versions = emojiPackages.map((name) => `${name}@${app.manifest.devDependencies[name]}`);
  assert.ok(stderr.trim().endsWith(`npm install ${versions.join(" ")}`), stderr);
});

test.run();
