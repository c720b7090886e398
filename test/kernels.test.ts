// The declarations of all kernels: what a host side declares its WGSL uses, and no WGSL file lies about unused. Kernels
// that the ops really run are found by recording the op table on an engine whose `run` only takes notes.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { recordCase } from "../cases/check.ts";
import { allKernels } from "../cases/kernels.ts";
import { allCases } from "../cases/table.ts";
import { wgslParts } from "../engine/gpu/kernel.ts";
import { Engine, type Kernel } from "../engine/index.ts";
import * as arithmeticTable from "../kernels/elementwise/arithmetic-table.ts";
import * as unaryTable from "../kernels/elementwise/unary-table.ts";
import { librariesOf } from "../kernels/lib/library.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const inTable = new Set<Kernel>();
for (const without of [[], ["subgroups"]]) {
  const engine = await Engine.create({ without });
  engine.run = (kernel) => inTable.add(kernel);
  for (const opCase of allCases) recordCase(engine, opCase);
  engine.dispose();
}

test("the list of all kernels has those that the table runs, under names of their own", () => {
  assert.equal(
    [...inTable].filter((kernel) => !allKernels.includes(kernel) && !/^(test-|fused)/.test(kernel.name)),
    [],
  );
  assert.is(new Set(allKernels.map(({ name }) => name)).size, allKernels.length);
});

// Those that fuse writes have no list.
for (const kernel of [...allKernels, ...[...inTable].filter(({ name }) => name.startsWith("fused"))]) {
  test(`${kernel.name}: its WGSL uses all that is declared, and has one entry point`, () => {
    for (const subgroups of [true, false]) {
      const [, ...texts] = wgslParts(kernel, "f32", {}, { subgroups, count: 32 });
      const text = texts.join("\n").replace(/\/\/.*/g, "");
      for (const { name } of kernel.bindings) assert.match(text, new RegExp(`(?<![.\\w])${name}\\[`));
      for (const name in kernel.params) assert.match(text, new RegExp(`\\bparams\\.${name}\\b`));
      assert.not.match(text, /@group|struct Params/, "what is derived is not said again");
      assert.is(text.match(/@compute/g)?.length, 1);
      assert.match(text, /^fn main\(/m);
    }
  });
}

test("every WGSL file is in some kernel", () => {
  const texts = [...allKernels, ...inTable].flatMap((kernel) => [
    kernel.source,
    ...kernel.includes.flatMap((include) =>
      typeof include === "string" ? [include] : [include.subgroups, include.shared],
    ),
  ]);
  const unused = ["engine", "kernels", "train"]
    .flatMap((folder) =>
      readdirSync(`${root}${folder}`, { recursive: true, encoding: "utf8" }).map(
        (name) => `${folder}/${name}`,
      ),
    )
    .filter((name) => name.endsWith(".wgsl"))
    .filter((name) => {
      const text = readFileSync(`${root}${name}`, "utf8");
      return !texts.some((used) => used.includes(text));
    });
  assert.equal(unused, []);
});

test("an operation names the libraries that its expressions call, and no others: they are what an app loads for it", () => {
  const ops = [...Object.values(arithmeticTable), ...Object.values(unaryTable)];
  assert.ok(ops.length > 60);
  for (const { name, value, uses = [], ...more } of ops) {
    const slopes = "slope" in more ? [more.slope] : (more.gradients ?? []);
    const called = [false, true].flatMap((integers) =>
      librariesOf([value, ...slopes].join(), uses, integers),
    );
    for (const { wgsl } of uses) assert.ok(called.includes(wgsl), `${name}: ${wgsl.split("\n")[0]}`);
  }
});

test.run();
