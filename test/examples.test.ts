// The examples run as they are, in an app that has installed the package and what their heads name, and weigh no more than
// they should.
import { spawnSync } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import sharp from "sharp";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readSafetensors } from "../model/safetensors.ts";
import { commandLinePackages, emojiPackages } from "../train/place.ts";
import { type OpenPage, openFolder } from "./browser/harness.ts";
import { findDeno } from "./deno/harness.ts";
import { installPacked, root } from "./packed.ts";
import { beside, safetensors } from "./small-blip.ts";
import { specifiersOf } from "./specifiers.ts";

const app = await installPacked();
test.after(() => app.remove());
await cp(join(root, "examples"), app.folder, { recursive: true });
await app.add("webgpu");
const at = (...path: string[]) => join(app.folder, ...path);
const source = (name: string) => readFile(at(name), "utf8");

async function withPage(name: string, skippedAs: string, use: (page: OpenPage["page"]) => Promise<void>) {
  const opened = await openFolder(app.folder, name, { presents: name === "canvas.html" });
  if ("skipped" in opened) return console.log(`skipped: ${skippedAs} (${opened.skipped})`);
  try {
    await use(opened.page);
  } finally {
    await opened.close();
  }
}

const models = ["models/classifier.mjs", "models/gpt.mjs"];

test("they are made of what the package exports", async () => {
  for (const name of [
    "mlp.mjs",
    "anywhere.mjs",
    "kernel.mjs",
    "canvas.html",
    "search/search.mjs",
    ...models,
  ]) {
    const used = specifiersOf(await source(name)).filter((specifier) => specifier !== "node:module");
    assert.ok(used.length > 0);
    for (const specifier of used)
      assert.match(specifier, /^casement\/(engine|kernels|model|train|emoji)$/, name);
  }
});

test("a multilayer perceptron in 15 lines beside the imports", async () => {
  const lines = (await source("mlp.mjs")).split("\n").filter((line) => !/^(\/\/|import |\s*$)/.test(line));
  assert.ok(lines.length <= 15, `${lines.length} lines`);
  const [, loss] = /^loss (\S+)$/m.exec(app.node("mlp.mjs"))!;
  assert.ok(Number(loss) < 1e-3, loss);
});

test("a kernel with its gradient", () => {
  const [, value, gradient] = /^largest error (\S+), of the gradient (\S+)$/m.exec(app.node("kernel.mjs"))!;
  assert.ok(Number(value) < 2e-6 && Number(gradient) < 2e-6, `${value} ${gradient}`);
});

test("models of 150 lines at most, made of the same", async () => {
  for (const name of models) {
    const lines = (await source(name)).trimEnd().split("\n").length;
    assert.ok(lines <= 150, `${name} has ${lines} lines`);
  }
  await app.add("sharp", ...emojiPackages);
});

test("a convolutional classifier tells what emoji show that it has not seen", () => {
  const [, count, right] = /^(\d+) pictures, (\S+) % right$/m.exec(app.node("models/classifier.mjs"))!;
  // The most frequent kind is a third of them.
  assert.ok(Number(count) > 400 && Number(right) > 70, `${right} % of ${count}`);
});

test("a small GPT learns phrases, and writes the same with its keys and values kept", () => {
  const printed = app.node("models/gpt.mjs");
  const losses = [...printed.matchAll(/^step \d+ loss (\S+)$/gm)].map((match) => Number(match[1]));
  assert.ok(losses.length === 4 && losses.at(-1)! < 1.3, `${losses}`);
  const phrases = [...printed.matchAll(/^the same: (.*?)(?: \(new\))?$/gm)].map((match) => match[1]!);
  const [off] = [...printed.matchAll(/^logits differ by (\S+) at most$/gm)].map((match) => Number(match[1]));
  assert.is(phrases.length, 4, printed);
  assert.ok(phrases.every((phrase) => phrase.length > 6));
  assert.ok(off! < 1e-4, `${off}`);
});

const direction = "direction 0.60 0.80";

test("one script in Node", () => {
  assert.is(app.node("anywhere.mjs").trim(), direction);
});

test("one script in Deno", async () => {
  const deno = findDeno();
  if (!deno) return console.log("skipped: one script in Deno (no Deno here)");
  // An app's own manifest names what it uses.
  await writeFile(at("package.json"), '{ "type": "module", "dependencies": { "casement": "0.1.0" } }');
  const { stdout, stderr } = spawnSync(deno, ["run", "--unstable-webgpu", "--allow-all", "anywhere.mjs"], {
    cwd: app.folder,
    encoding: "utf8",
    env: { ...process.env, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir(), NO_COLOR: "1" },
  });
  assert.is(stdout.trim(), direction, stderr);
});

test("one script in a page, without a bundler", async () => {
  await withPage("index.html", "one script in a page", async (page) => {
    await page.waitForFunction(() => document.body.textContent?.startsWith("direction"));
    assert.is(await page.evaluate(() => document.body.textContent?.trim()), direction);
  });
});

test("a renderer draws what the engine has moved, where it lies", async () => {
  await withPage("canvas.html", "a renderer", async (page) => {
    await page.waitForFunction(() => document.title === "done");
    const url = await page.evaluate(() => document.querySelector("img")!.src);
    const shot = Buffer.from(url.slice(url.indexOf(",") + 1), "base64");
    const { data, info } = await sharp(shot).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const green: [number, number][] = [];
    for (let i = 0; i < info.width * info.height; i++)
      if (data[3 * i + 1]! > 200 && data[3 * i]! < 60)
        green.push([i % info.width, Math.floor(i / info.width)]);
    // The square on the right is on top after a quarter of a turn: 4,096 points in 51 by 51 pixels.
    const mean = [0, 1].map((axis) => green.reduce((sum, place) => sum + place[axis]!, 0) / green.length);
    assert.ok(green.length > 1500 && green.length < 3000, `${green.length} pixels`);
    assert.ok(Math.abs(mean[0]! - 128) < 4 && Math.abs(mean[1]! - 128 * 0.4) < 4, `${mean}`);
  });
});

test("BLIP is fine-tuned on ten pictures by the lines of the page, and searched by a script", async () => {
  await app.add(...commandLinePackages.filter((name) => name !== "webgpu" && name !== "sharp"));
  await mkdir(at("fine-tune/blip"));
  for (const [name, content] of Object.entries({ ...beside, "model.safetensors": safetensors() }))
    await writeFile(at("fine-tune/blip", name), content);
  const page = await source("fine-tune/README.md");
  const commands = /^```sh\n(.*?)^```$/ms.exec(page)![1]!.trim().split("\n");
  assert.is(commands.length, 5);
  let printed = "";
  for (const command of commands) {
    const [npx, casement, ...args] = command.match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', ""));
    assert.is(`${npx} ${casement}`, "npx casement");
    const { status, stdout, stderr } = app.casement(args, "fine-tune");
    assert.is(status, 0, `${command}\n${stderr}`);
    printed = stdout;
  }
  const weights = async (run: string) =>
    readSafetensors(await readFile(at("fine-tune", run, "model.safetensors")));
  const [before, after] = [(await weights("start")).tensors, (await weights("tuned")).tensors];
  const changed = [...after].filter(([name, { data }]) => {
    const old = before.get(name)!.data;
    return Array.prototype.some.call(data, (value, i) => value !== old[i]);
  });
  assert.ok(changed.length > 30, "the text side learns");
  assert.not(changed.some(([name]) => name.startsWith("vision_model.")));
  const answers = [...printed.matchAll(/^ *\d+ +(-?\d\.\d+) +pictures\/(\S+)$/gm)];
  assert.is(answers.length, 9);

  const query = ["fine-tune/tuned", "fine-tune/pictures", "red-star.png", "make it blue"];
  const found = [...app.node("search/node.mjs", ...query).matchAll(/^(-?\d\.\d+) +(\S+)$/gm)];
  assert.is(found.length, 5);
  for (const [i, [, score, name]] of found.entries()) {
    assert.is(name, answers[i]![2]);
    assert.ok(Math.abs(Number(score) - Number(answers[i]![1])) < 2e-4);
  }
});

/** Bytes that a page loads for a module, bundled, minified and zipped. */
async function weigh(module: string): Promise<number> {
  const bundle = await rolldown({ input: module, cwd: app.folder, platform: "browser", logLevel: "silent" });
  const { output } = await bundle.generate({ minify: true, format: "es", codeSplitting: false });
  await bundle.close();
  return output.reduce((sum, part) => sum + gzipSync("code" in part ? part.code : part.source).length, 0);
}

for (const [module, kilobytes] of [
  ["mlp.mjs", 30],
  ["search/search.mjs", 90],
] as const) {
  test(`${module} weighs ${kilobytes} KB at most`, async () => {
    const bytes = await weigh(at(module));
    assert.ok(bytes <= kilobytes * 1000, `${bytes} bytes`);
    assert.ok(bytes > 10_000, "it is all there");
  });
}

test.run();
