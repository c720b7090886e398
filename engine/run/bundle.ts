// Dispatches of one kernel that don't wait for one another run as one, a bundle: horizontal fusion, as compilers have it
// (Ma et al., "Rammer", OSDI 2020). The kernel runs in a form whose grid counts its members along y: each finds its
// parameters in a slot of its own, and there the first elements of its tensors in bindings that show all members'. What a
// member computes is what the kernel computes, bit for bit.

import { bytesPerElement, type DType } from "../base/dtype.ts";
import type { BoundRegion, Grid, Region } from "../gpu/commands.ts";
import { type Kernel, mostMembers, startOf } from "../gpu/kernel.ts";
import type { CompiledKernel } from "../gpu/pipelines.ts";

/**
 * Bytes that a step which needs `least` may take beyond them so that more of it runs in bundles: little to any GPU, and where
 * the processor computes itself only in steps that are small, as it hardly waits between dispatches.
 */
export function roomForBundles(least: number, software: boolean): number {
  const MiB = 2 ** 20;
  return software
    ? Math.min(least / 24, Math.max(MiB / 8, 128 * MiB - least))
    : Math.min(16 * MiB, least / 4);
}

const forms = new WeakMap<Kernel, Map<string, Kernel>>();

/**
 * The form of a kernel that runs bundles. `joined` are outputs that are seen through the kernel's first one: two bindings
 * that are written may not overlap, as those of several members in one buffer would.
 */
export function formOf(kernel: Kernel, joined: readonly string[]): Kernel {
  const known = forms.get(kernel) ?? new Map<string, Kernel>();
  forms.set(kernel, known);
  const key = joined.join();
  const form = known.get(key) ?? rewrite(kernel, joined);
  known.set(key, form);
  return form;
}

function rewrite(kernel: Kernel, joined: readonly string[]): Kernel {
  const first = kernel.bindings.find(({ access }) => access === "read_write")?.name;
  const starts = kernel.bindings.map(({ name }) => ({
    name,
    through: joined.includes(name) ? first! : name,
  }));
  const variants = kernel.includes.map((include) =>
    typeof include === "string" ? [include] : Object.values(include),
  );
  const texts = [...variants.flat(), kernel.source];
  const functions = new Set(
    texts.flatMap((text) => Array.from(text.matchAll(/\bfn (\w+)\(/g), ([, name]) => name!)),
  );
  functions.delete("main");
  const either = (names: Iterable<string>) => `(?<![.\\w])(${[...names].join("|")})`;
  const calls = new RegExp(`(fn )?${either(functions)}\\(`, "g");
  const accesses = new RegExp(`${either(starts.map(({ name }) => name))}\\s*\\[`, "g");
  for (const text of texts) refuseHidden(kernel, text);
  const through = new Map(starts.map(({ name, through }) => [name, through]));
  const rewritten = (text: string) => {
    const passed =
      functions.size === 0
        ? text
        : text.replace(calls, (_, defined, name) =>
            defined ? `fn ${name}(params: Params, ` : `${name}(params, `,
          );
    return passed.replace(accesses, (_, name) => `${through.get(name)}[params.${startOf(name)} + `);
  };
  return {
    ...kernel,
    source: rewritten(kernel.source),
    includes: kernel.includes.map((include) =>
      typeof include === "string"
        ? rewritten(include)
        : { subgroups: rewritten(include.subgroups), shared: rewritten(include.shared) },
    ),
    bindings: kernel.bindings.filter(({ name }) => !joined.includes(name)),
    bundles: false,
    starts,
  };
}

/** Throws where a function indexes a variable of its own that has a tensor's name: which of the two is meant, the text alone does not say. */
function refuseHidden({ name: kernel, bindings }: Kernel, text: string): void {
  for (const one of text.split(/^(?=fn |@)/m)) {
    const head = one.slice(0, one.indexOf("{"));
    for (const { name } of bindings) {
      const hidden =
        new RegExp(`\\b${name}\\s*:`).test(head) ||
        new RegExp(`\\b(?:var|let|const)\\s+${name}\\b`).test(one);
      if (hidden && new RegExp(`(?<![.\\w])${name}\\s*\\[`).test(one))
        throw new Error(
          `${kernel}: a kernel with bundles can't index a variable named ${name}, as a tensor is.`,
        );
    }
  }
}

/** Bytes of an element of a binding, by the aliases of the kernel's text. */
function elementBytes(type: string, kernel: Kernel, dtype: DType): number {
  if (type === "Scalar") return bytesPerElement[dtype];
  if (type === "Vec") return 4 * bytesPerElement[dtype];
  if (Object.hasOwn(bytesPerElement, type)) return bytesPerElement[type as DType];
  const vector = /^vec([24])(?:<(\w+)>|([fuih]))$/.exec(type);
  if (vector)
    return (
      Number(vector[1]) * (vector[2] ? elementBytes(vector[2], kernel, dtype) : vector[3] === "h" ? 2 : 4)
    );
  const alias = new RegExp(`alias ${type} = ([^;]+);`);
  for (const text of [...kernel.includes, kernel.source]) {
    const found = typeof text === "string" && alias.exec(text);
    if (found) return elementBytes(found[1]!, kernel, dtype);
  }
  throw new Error(`${kernel.name}: elements of ${type} are of no known size.`);
}

/** A dispatch that may become part of a bundle, its memory placed. */
export interface Member {
  kernel: Kernel;
  regions: readonly BoundRegion[];
  grid: Grid;
}

/** Members that run as one dispatch. */
export interface Bundle<M extends Member> {
  members: M[];
  /** What is bound to the form. */
  regions: Region[];
  /** Of each member the first elements of its tensors. */
  begins: number[][];
  grid: Grid;
}

/** Where a region lies in its buffer. */
const beginOf = ({ storage, offset }: Region) => storage.base + offset;

/**
 * Divides members of one form, none of which waits for another, into as few bundles as their buffers allow. `fits` says whether members
 * are little enough for one dispatch.
 */
export function bundlesOf<M extends Member>(
  form: CompiledKernel,
  members: readonly M[],
  fits: (members: readonly M[]) => boolean,
): Bundle<M>[] {
  const bundles: Bundle<M>[] = [];
  for (const member of members) {
    for (let i = 0; ; i++) {
      const own = bundles[i]?.members ?? [];
      const all = [...own, member];
      if (own.length > 0 && (all.length > mostMembers || !sameBuffers(own[0]!, member) || !fits(all)))
        continue;
      const bundle = bundleOf(form, all);
      if (!bundle) continue;
      bundles[i] = bundle;
      break;
    }
  }
  return bundles;
}

function sameBuffers(a: Member, b: Member): boolean {
  return a.regions.every(({ storage }, i) => storage.buffer === b.regions[i]!.storage.buffer);
}

/** One dispatch for members on the same buffers; null where what they write would be bound twice. */
function bundleOf<M extends Member>({ kernel: form, dtype }: CompiledKernel, members: M[]): Bundle<M> | null {
  const starts = form.starts!;
  const regions = form.bindings.map(({ name }): Region => {
    const shown = members.flatMap((member) => member.regions.filter((_, i) => starts[i]!.through === name));
    const begin = Math.min(...shown.map(beginOf));
    const end = Math.max(...shown.map((region) => beginOf(region) + region.size));
    const { storage, tenure } = shown[0]!;
    return { storage, tenure, offset: begin - storage.base, size: end - begin };
  });
  const written = regions.filter((_, i) => form.bindings[i]!.access === "read_write");
  const overlap = (a: Region, b: Region) =>
    a.storage.buffer === b.storage.buffer &&
    beginOf(a) < beginOf(b) + b.size &&
    beginOf(b) < beginOf(a) + a.size;
  if (members.length > 1 && written.some((a, i) => written.some((b, j) => i < j && overlap(a, b))))
    return null;
  const at = starts.map(({ through }) => form.bindings.findIndex(({ name }) => name === through));
  const begins = members.map((member) =>
    member.regions.map((region, i) => {
      const bound = at[i]!;
      const bytes = elementBytes(form.bindings[bound]!.type, form, dtype);
      return (beginOf(region) - beginOf(regions[bound]!)) / bytes;
    }),
  );
  return {
    members,
    regions,
    begins,
    grid: [Math.max(...members.map(({ grid }) => grid[0])), members.length, 1],
  };
}
