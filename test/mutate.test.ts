// The sampler of faults (test/mutate): it puts them where it should, a fault that changes something dies, and one that
// changes nothing lives.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Fault, placesOf } from "./mutate/faults.ts";
import { runFault } from "./mutate/run-fault.ts";
import { read } from "./mutate/seen.ts";

/** A source's faults as "before|what is taken away|what comes". */
function faultsOf(file: string, source: string): string[] {
  return placesOf(file, source)
    .flat()
    .map(({ start, end, text }) => `${source.slice(start - 2, start)}|${source.slice(start, end)}|${text}`);
}

test("WGSL: operators, constants, indices, guards and barriers, but no types and no words", () => {
  const source = `// a + 1
@compute @workgroup_size(64)
fn main() {
  let a = array<vec4<u32>, 3>();
  if (i < 4u) { y[i] = -a.x * 0.5; }
  workgroupBarrier();
}`;
  assert.equal(faultsOf("a.wgsl", source), [
    ...["e(|64|65", "e(|64|63", "f |(i < 4u)|(true)", "f |(i < 4u)|(false)", "i |<|<=", "i |<|>="],
    ...[
      "< |4u|5u",
      "< |4u|3u",
      "[i|]| + 1u]",
      "= |-|",
      "a.|x|y",
      "x |*|+",
      "x |*|/",
      "* |0.5|0.625",
      "* |0.5|0.0",
    ],
    "  |workgroupBarrier();|",
  ]);
});

test("TypeScript: the same, but no types, no imports and nothing of an error", () => {
  const source = `import { b } from "1 + 1";
type A = 1 | 2;
export function f(x: Array<1>, i: number) {
  if (!(i > 0)) throw new RangeError(\`\${i + 1}\`);
  x[i] = Math.ceil(b ?? 2);
  return true as boolean;
}`;
  assert.equal(faultsOf("a.ts", source), [
    ...[" (|!(i > 0)|true", " (|!(i > 0)|false", " (|!|", "i |>|>=", "i |>|<=", "> |0|1"],
    ...[
      "  |x[i] = Math.ceil(b ?? 2);|;",
      "[i|| + 1",
      "h.|ceil|floor",
      "b |??|&&",
      "? |2|3",
      "? |2|1",
      "n |true|false",
    ],
  ]);
});

/** `now` in place of `was`, which the source has once. */
function change(file: string, was: string, now: string): Fault {
  const source = read(file);
  const start = source.indexOf(was);
  assert.ok(start >= 0 && source.indexOf(was, start + 1) < 0, `${file} has ${was} once`);
  return { start, end: start + was.length, text: now, kind: "operator", wgsl: file.endsWith(".wgsl") };
}

const checks = {
  cases: [{ name: "topk ties indices 2x1500 k 50 f32", options: { poison: true } }],
  files: [],
};
for (const [what, file, was, now] of [
  ["killed", "kernels/topk/topk.wgsl", "placeA < placeB", "placeA > placeB"],
  // It is set again before anybody reads it.
  ["survived", "kernels/topk/topk.wgsl", "var n = 0u;", "var n = 1u;"],
  ["does not compile", "kernels/topk/topk.wgsl", "var n = 0u;", "var n = nothing;"],
  ["killed", "kernels/topk/topk.ts", 'parts * k], "u32"', 'parts + k], "u32"'],
] as const) {
  test(`${was} became ${now}: ${what}`, async () => {
    const fate = await runFault(file, change(file, was, now), checks, 60);
    assert.is(fate.what, what, fate.by);
  });
}

test.run();
