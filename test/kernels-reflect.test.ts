// What each kernel's host side declares (bindings, parameters) is what its WGSL says. Kernels and constants are those
// that the ops really run with: the op table is recorded on an engine whose `run` only takes notes, so that none has to
// be compiled. Kernels outside the table (the optimiser's) are taken from the list of all kernels.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ResourceType, WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import { recordCase } from "../cases/check.ts";
import { allCases } from "../cases/table.ts";
import type { Constants, Lanes } from "../engine/gpu/kernel.ts";
import { composeWgsl, type DType, Engine, type Kernel } from "../engine/index.ts";
import { allKernels } from "../kernels/index.ts";

const folder = fileURLToPath(new URL("../kernels/", import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: "utf8" });

/** The runs that were seen of a kernel, by what goes into its WGSL. */
type Variants = Map<string, { dtype: DType; constants: Constants; lanes: Lanes }>;

const kernels = new Map<Kernel, Variants>();

function note(kernel: Kernel, dtype: DType, constants: Constants, lanes: Lanes): void {
  const variants: Variants = kernels.get(kernel) ?? new Map();
  kernels.set(kernel, variants);
  // Both dtypes where either was seen: the other is one option away.
  for (const one of new Set<DType>([dtype, "f32", "f16"])) {
    variants.set(JSON.stringify([one, constants, lanes]), { dtype: one, constants, lanes });
  }
}

for (const withoutSubgroups of [false, true]) {
  const engine = await Engine.create({ withoutSubgroups });
  engine.run = (kernel, { dtype = "f32", constants = {} }) => note(kernel, dtype, constants, engine.lanes);
  for (const opCase of allCases) recordCase(engine, opCase);
  engine.dispose();
}
const inTable = new Set([...kernels.keys()].filter((kernel) => !kernel.name.startsWith("test-")));

for (const kernel of allKernels) {
  if (kernels.has(kernel)) continue;
  for (const subgroups of [true, false]) note(kernel, "f32", {}, { subgroups, count: subgroups ? 8 : 32 });
}

/**
 * WGSL without its functions, as wgsl_reflect 1.6.0 can't read them all (one called `valueOf` makes it stumble), and
 * without names for subgroup matrices, which it does not know.
 */
function declarations(wgsl: string): string {
  return wgsl
    .replace(/^alias \w+ = subgroup_matrix.*/gm, "")
    .replace(/^(@compute.*\n)?fn (.*\}$|[\s\S]*?^\})/gm, "");
}

test("the list of all kernels has those that the table runs, under names of their own", () => {
  assert.equal(
    [...inTable].filter((kernel) => !allKernels.includes(kernel)).map(({ name }) => name),
    [],
  );
  assert.is(new Set(allKernels.map(({ name }) => name)).size, allKernels.length);
});

for (const [kernel, variants] of kernels) {
  test(`${kernel.name}: bindings and parameters are what the WGSL says`, () => {
    for (const { dtype, constants, lanes } of variants.values()) {
      const text = composeWgsl(kernel, dtype, constants, lanes);
      const wgsl = new WgslReflect(declarations(text));
      const found = wgsl.storage
        .filter((variable) => variable.group === 0)
        .sort((a, b) => a.binding - b.binding)
        .map(({ binding, name, access }) => ({ binding, name, access: access || "read" }));
      assert.equal(
        found,
        kernel.bindings.map(({ name, access }, binding) => ({ binding, name, access })),
      );

      const blocks = wgsl.uniforms.filter((variable) => variable.resourceType === ResourceType.Uniform);
      const declared = Object.entries(kernel.params).map(([name, type]) => ({ name, type }));
      if (declared.length === 0) {
        assert.is(blocks.length, 0, "a uniform block that the host does not declare");
      } else {
        assert.equal(
          blocks.map(({ name, group, binding }) => ({ name, group, binding })),
          [{ name: "params", group: 0, binding: kernel.bindings.length }],
        );
        assert.equal(
          blocks[0]!.members?.map(({ name, type }) => ({ name, type: type.name })),
          declared,
        );
      }
      assert.is(text.match(/@compute/g)?.length, 1);
      assert.match(text, /^fn main\(/m);
    }
  });
}

test("every WGSL file under kernels/ is in some kernel", () => {
  const texts = [...kernels.keys()].flatMap((kernel) => [
    kernel.source,
    ...kernel.includes.flatMap((include) =>
      typeof include === "string" ? [include] : [include.subgroups, include.shared],
    ),
  ]);
  const unused = files
    .filter((name) => name.endsWith(".wgsl"))
    .filter((name) => {
      const text = readFileSync(`${folder}${name}`, "utf8");
      return !texts.some((used) => used.includes(text));
    });
  assert.equal(unused, []);
});

test.run();
