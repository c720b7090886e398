// What WGSL allows and some compiler gets wrong: every kernel's text is looked through for it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { allKernels } from "../cases/kernels.ts";
import { composeWgsl, type Kernel } from "../engine/index.ts";

/** A kernel's texts, with subgroups and without, and without comments. */
function textsOf(kernel: Kernel): string[] {
  return [true, false].map((subgroups) =>
    composeWgsl(kernel, "f32", {}, { subgroups, count: 8 }).replace(/\/\/.*/g, ""),
  );
}

/** The name in front of the parenthesis that `at` stands in. */
function callAround(text: string, at: number): string {
  let depth = 0;
  for (let i = at; i >= 0; i--) {
    if (text[i] === ")") depth++;
    if (text[i] === "(" && depth-- === 0) return /(\w*)\s*$/.exec(text.slice(0, i))![1]!;
  }
  return "";
}

/**
 * Pointers to elements that are passed to functions of the kernel's own, or kept: WGSL has them as a language feature
 * (unrestricted pointer parameters), and naga, the compiler of Firefox and Deno, panics on them.
 */
function elementPointers(text: string): string[] {
  const own = new Set(Array.from(text.matchAll(/\bfn (\w+)/g), ([, name]) => name));
  return [...text.matchAll(/[(,=]\s*(&\w+\s*[[.])/g)]
    .filter(({ 0: found, index }) => found[0] === "=" || own.has(callAround(text, index + found.length - 2)))
    .map(({ 1: pointer }) => pointer!);
}

/** Parameters that point elsewhere than at variables of functions, which is part of the same feature. */
function foreignPointers(text: string): string[] {
  return text.match(/ptr<\s*(workgroup|storage|uniform)\b/g) ?? [];
}

/**
 * Variables without a value: Tint gives one in a loop its zero once per function, not once per turn. A function may come
 * to stand in a loop as well, so none goes without.
 */
function bareVariables(text: string): string[] {
  return text.match(/^[ \t]+var \w+[^=;]*;/gm) ?? [];
}

/**
 * Stores to one component of a vector in a storage buffer, which may write all of the vector: where another invocation
 * has the other components, theirs are lost. Maps do it in the last vec4, of which no other invocation has a part.
 */
function componentStores(text: string): string[] {
  if (text.includes("const PARTIAL")) return [];
  const written = Array.from(text.matchAll(/var<storage, read_write> (\w+)/g), ([, name]) => name);
  return (
    text.match(
      new RegExp(`\\b(${written.join("|")})\\[[^;=]*\\](\\.\\w+|\\[\\w+\\]) *[-+*/]?=[^=].*`, "g"),
    ) ?? []
  );
}

/**
 * Tests for NaN that compilers may fold, as WGSL lets them assume that there is none: a comparison of numbers that is
 * negated, or of a number with itself. lib/nan.wgsl tests bits.
 */
function foldedTests(text: string): string[] {
  return text.match(/!\([^()&|]*[<>][^()&|]*\)|\b(\w+(?:\[\w+\])?) [!=]= \1(?![\w.[(])/g) ?? [];
}

/** Indices in a workgroup that are taken for a subgroup and a lane of it, which WGSL doesn't promise. */
function subgroupGuesses(text: string): string[] {
  return text.match(/\b(id|lane|local_invocation_index) [/%] LANES\b/g) ?? [];
}

const rules = {
  elementPointers,
  foreignPointers,
  bareVariables,
  componentStores,
  foldedTests,
  subgroupGuesses,
};

for (const [name, rule] of Object.entries(rules)) {
  test(`no kernel has ${name}`, () => {
    const found = allKernels.flatMap((kernel) =>
      textsOf(kernel).flatMap((text) => rule(text).map((part) => `${kernel.name}: ${part.trim()}`)),
    );
    assert.equal(found, []);
  });
}

test("the rules see what they look for", () => {
  assert.equal(elementPointers("fn f(a: ptr<function, V>) {} … f(1, &rows[i]); let p = &a.b; g(&c[0])"), [
    "&rows[",
    "&a.",
  ]);
  assert.equal(foreignPointers("fn f(a: ptr<workgroup, V>) {}").length, 1);
  const stores =
    "var<storage, read_write> y: array<Vec>; y[v].x = a; y[i + 1u][c] += b; x[v].x = y[v].x; y[v] = c;";
  assert.equal(componentStores(stores).length, 1);
  assert.equal(foldedTests("if (!(norm < 3.0e38)) { x != x; a[i] == a[i]; b == b.x; !(a && b < c); }"), [
    "!(norm < 3.0e38)",
    "x != x",
    "a[i] == a[i]",
  ]);
  assert.equal(subgroupGuesses("let s = id / LANES; let l = lane % LANES; let q = 8u / LANES;").length, 2);
  assert.equal(bareVariables("var<private> lane: u32;\n  var x: f32;\n  var y: f32 = 1.0;").length, 1);
});

test.run();
