// Imports run one way, however they are written: what the lint's patterns can't see (types by `import("…")`, detours in
// a path, folders that are new) is found here by the files that specifiers come to.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { specifiersOf } from "./specifiers.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Each may import what stands before it; those in one line don't know each other, but for tests, which may see all. */
const order = [["engine"], ["kernels"], ["model"], ["train"], ["cases"], ["cli", "web", "bench"], ["test"]];
const floors = [["base"], ["gpu"], ["tensor"], ["tune"], ["run"]];
/** Bench scripts that Node starts by themselves use the command line's loader; installed, it starts what is built of it. */
const excepted = new Set(["bench/gpu.mjs cli/register.mjs", "cli/casement.mjs dist/cli/process.js"]);

interface Import {
  from: string;
  to: string;
}

/** The imports of a file, given by its path from the root: of files, or of the package by its own name. */
function importsOf(from: string, text: string): Import[] {
  return specifiersOf(text).flatMap((specifier) => {
    const path = specifier.replace(/\?.*$/, "");
    if (/^casement\b/.test(path)) return [{ from, to: path }];
    return path.startsWith(".") ? [{ from, to: relative(root, join(root, dirname(from), path)) }] : [];
  });
}

const place = (list: readonly string[][], name: string) => list.findIndex((names) => names.includes(name));

/** Why an import may not be; null where it may. */
export function objection({ from, to }: Import): string | null {
  if (excepted.has(`${from} ${to}`) || from.startsWith("test/")) return null;
  if (to.startsWith("casement")) return "the package's own name hides which folder it is";
  const [[source, sourceFloor], [target, targetFloor]] = [from.split("/"), to.split("/")] as [
    string[],
    string[],
  ];
  const [a, b] = [place(order, source!), place(order, target!)];
  if (a < 0 || b < 0) return "one of the folders has no place";
  if (source !== target) return b < a ? null : `${source} does not know ${target}`;
  if (source !== "engine" || from.split("/").length < 3) return null;
  const [c, d] = [place(floors, sourceFloor!), place(floors, targetFloor!)];
  if (c < 0 || d < 0) return "one of the engine's folders has no floor";
  return sourceFloor === targetFloor || d < c
    ? null
    : `engine/${sourceFloor} does not know engine/${targetFloor}`;
}

const files = order
  .flat()
  .filter((folder) => readdirSync(root).includes(folder))
  .flatMap((folder) => {
    const names = readdirSync(join(root, folder), { recursive: true }) as string[];
    return names
      .filter((name) => /\.m?[jt]s$/.test(name) && !/peers|node_modules/.test(name))
      .map((name) => join(folder, name));
  });
const imports = files.flatMap((file) => importsOf(file, readFileSync(join(root, file), "utf8")));

test("every import goes the one way", () => {
  assert.ok(imports.length > 500, `${imports.length} imports were found`);
  const wrong = imports.flatMap((one) => {
    const why = objection(one);
    return why ? [`${one.from} imports ${one.to}: ${why}`] : [];
  });
  assert.equal(wrong, []);
});

test("no file imports itself by way of others, types included", () => {
  const next = new Map<string, string[]>();
  for (const { from, to } of imports)
    if (!from.startsWith("test/")) next.set(from, [...(next.get(from) ?? []), to]);
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string[] => {
    if (path.includes(file)) return [[...path.slice(path.indexOf(file)), file].join(" -> ")];
    if (done.has(file)) return [];
    const found = (next.get(file) ?? []).flatMap((to) => walk(to, [...path, file]));
    done.add(file);
    return found;
  };
  assert.equal(
    files.flatMap((file) => walk(file, [])),
    [],
  );
});

/** Rooms of train/, and what each may take from others: "all", or their types alone. */
const rooms: Record<string, Record<string, "all" | "types">> = {
  data: {},
  objective: { data: "types" },
  loop: { data: "types", objective: "types" },
  eval: { data: "all" },
};

/** Imports of a text that leave code behind when types are gone. */
function codeImportsOf(text: string): string[] {
  const statements = text.matchAll(/^(?:import|export)\s([^;"']*?)\sfrom\s+["']([^"']+)["']/gms);
  return [...statements].flatMap(([, what, specifier]) => {
    const named = /^\{(.*)\}$/s
      .exec(what!.trim())?.[1]
      ?.split(",")
      .filter((name) => name.trim() !== "");
    const types = /^type\s/.test(what!) || named?.every((name) => /^\s*type\s/.test(name));
    return types ? [] : [specifier!];
  });
}

/** Why a room of train/ may not import so; null where it may. */
function roomObjection(from: string, text: string): string[] {
  const [, room] = from.split("/");
  const allowed = rooms[room!];
  if (!allowed) return [];
  const code = new Set(
    codeImportsOf(text).map((specifier) => relative(root, join(root, dirname(from), specifier))),
  );
  return importsOf(from, text).flatMap(({ to }) => {
    const [top, other, ...rest] = to.split("/");
    if (top !== "train" || rest.length === 0 || other === room) return [];
    const may = allowed[other!];
    return may === "all" || (may === "types" && !code.has(to)) ? [] : [`${from} imports ${to}`];
  });
}

test("data, objective, loop and eval know each other's types, and eval what reads data; run joins them", () => {
  const inRooms = files.filter((file) => /^train\/\w+\/.*\.ts$/.test(file));
  assert.ok(inRooms.length > 50);
  assert.equal(
    inRooms.flatMap((file) => roomObjection(file, readFileSync(join(root, file), "utf8"))),
    [],
  );
  const wrong = [
    ["train/data/zz.ts", 'import type { Result } from "../eval/protocols.ts";'],
    ["train/objective/zz.ts", 'import { type Row, packBatch } from "../data/collate.ts";'],
    ["train/loop/zz.ts", 'import { batchLoss } from "../objective/batch.ts";'],
    ["train/eval/zz.ts", 'import { hashOf } from "../run/given.ts";'],
  ] as const;
  for (const [from, text] of wrong) assert.is(roomObjection(from, text).length, 1, text);
  assert.equal(roomObjection("train/loop/zz.ts", 'import { type Row } from "../data/collate.ts";'), []);
});

test("what a page loads asks nothing of Node", () => {
  const reached = new Set<string>();
  const walk = (file: string, by: string) => {
    assert.not.match(file, /(^|\/)node:|^(fs|path|crypto)$/, `${by} imports it`);
    if (reached.has(file) || !/\.ts$/.test(file)) return;
    reached.add(file);
    const text = readFileSync(join(root, file), "utf8");
    // Modules that are loaded when they are needed count as well.
    const later = [...text.matchAll(/\bimport\("(\.[^"]+)"\)/g)].map((match) => match[1]!);
    for (const specifier of [...codeImportsOf(text), ...later]) {
      const plain = specifier.replace(/\?.*$/, "");
      walk(plain.startsWith(".") ? relative(root, join(root, dirname(file), plain)) : plain, file);
    }
  };
  for (const entry of ["web/main.ts", "web/offline.ts", "web/worker/index.ts", "train/index.ts"])
    walk(entry, "");
  assert.ok(reached.has("train/run/checkpoint.ts") && reached.has("train/data/emoji/set.ts"));
});

for (const [from, text] of [
  ["engine/base/zz.ts", 'import "../../engine/gpu/session.ts";'],
  ["engine/base/a/zz.ts", 'import "../../gpu/session.ts";'],
  ["engine/zz/zz.ts", 'import "../../kernels/index.ts";'],
  ["engine/zz/zz.ts", 'import "../base/shape.ts";'],
  ["engine/base/shape.ts", 'export type Q = import("../tensor/tensor.ts").Tensor;'],
  ["engine/gpu/pool.ts", 'import { Tensor } from ".././tensor/tensor.ts";'],
  ["engine/gpu/pool.ts", 'import { Tensor } from "casement/engine";'],
  ["kernels/zz.ts", 'const vit = require("../model/vit.ts");'],
  ["model/zz.ts", 'export { x } from "../train/config.ts";'],
  ["train/a/zz.ts", 'await import("../../cases/table.ts");'],
  ["bench/zz.ts", 'import "../cli/main.ts";'],
] as const) {
  test(`${from} may not say ${text}`, () => {
    const [found] = importsOf(from, text);
    assert.ok(found && objection(found), JSON.stringify(found));
  });
}

test.run();
