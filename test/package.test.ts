// casement as an app gets it: packed, without its development packages; the README's example type-checks against it and
// runs on the app's own GPUDevice.
import { execFileSync, spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gelu } from "../cases/reference.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const app = await mkdtemp(join(tmpdir(), "casement-app-"));
const modules = join(app, "node_modules");

/** Runs Node in the app's folder and returns what it wrote; the error of a failing run quotes that too. */
function node(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: app, encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")} failed:\n${stdout}${stderr}`);
  return stdout;
}
const tool = (name: string) => join(root, "node_modules", name);

/** The README's example after `prelude`. */
async function writeExample(file: string, prelude: string): Promise<void> {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
  await writeFile(join(app, file), `${prelude}\n${example}`);
}

test.before(async () => {
  execFileSync(process.execPath, [tool("vite/bin/vite.js"), "build", "--logLevel", "error"], { cwd: root });
  execFileSync(process.execPath, [tool("typescript/bin/tsc"), "--project", "tsconfig.build.json"], {
    cwd: root,
  });
  const packed = join(modules, "casement");
  await mkdir(packed, { recursive: true });
  for (const name of ["package.json", "dist"])
    await cp(join(root, name), join(packed, name), { recursive: true });
  await writeFile(join(app, "package.json"), '{ "type": "module" }');
});

test("the README's example type-checks", async () => {
  await writeExample("example.ts", "declare const device: GPUDevice;");
  const options = { module: "nodenext", target: "es2024", strict: true, noEmit: true };
  const compilerOptions = { ...options, lib: ["es2024", "dom"], types: [] };
  await writeFile(join(app, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["example.ts"] }));
  node(tool("typescript/bin/tsc"), "--project", ".");
});

test("the README's example runs on the app's own device", async () => {
  await symlink(tool("webgpu"), join(modules, "webgpu"));
  await writeExample(
    "example.js",
    `import { create } from "webgpu";
     const gpu = (globalThis.gpu = create([]));
     const device = await (await gpu.requestAdapter()).requestDevice();
     process.on("exit", () => device.destroy());`,
  );
  const printed = node("example.js")
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

test.after(() => rm(app, { recursive: true, force: true }));
test.run();
