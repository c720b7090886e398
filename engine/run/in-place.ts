// Results that take the place of an input. A captured step knows where a tensor is used for the last time; where that
// dispatch makes another of the same size, both can be one piece of memory, as elementwise kernels read each element in
// the invocation that then writes it. But WebGPU refuses to bind a buffer for reading and for writing in one dispatch:
// so the kernel runs in a second form, whose input is the output.

import type { Region } from "../gpu/commands.ts";
import type { Binding, Kernel } from "../gpu/kernel.ts";
import type { Storage } from "../gpu/storage.ts";

const forms = new WeakMap<Kernel, Map<string, Kernel>>();

/** The kernel with these inputs, which its declaration lists under `inPlace`, read through its output. */
export function throughOutput(kernel: Kernel, inputs: readonly string[]): Kernel {
  const known = forms.get(kernel) ?? new Map<string, Kernel>();
  forms.set(kernel, known);
  const key = inputs.join();
  const form = known.get(key) ?? rewrite(kernel, inputs);
  known.set(key, form);
  return form;
}

function rewrite(kernel: Kernel, inputs: readonly string[]): Kernel {
  const output = outputOf(kernel)!.name;
  const bindings = kernel.bindings.filter(({ name }) => !inputs.includes(name));
  let source = kernel.source;
  for (const input of inputs) {
    source = source.replace(new RegExp(`(?<![.\\w])${input}\\[`, "g"), `${output}[`);
  }
  return { ...kernel, source, bindings, inPlace: [] };
}

/** The only binding that a kernel writes; undefined where there are several. */
function outputOf({ bindings }: Kernel): Binding | undefined {
  const written = bindings.filter(({ access }) => access === "read_write");
  return written.length === 1 ? written[0] : undefined;
}

/** A dispatch, and what is known of the memory that it binds. */
export interface Candidate {
  kernel: Kernel;
  regions: readonly Region[];
  /** Whether this dispatch is the first to touch a storage of the step. */
  begins(storage: Storage): boolean;
  /** Whether nothing needs a storage of the step after this dispatch. */
  ends(storage: Storage): boolean;
}

/** Which inputs of a dispatch its output can replace: the storage that goes on, and the bindings that show it. */
export function replaceable({ kernel, regions, begins, ends }: Candidate): {
  storage: Storage;
  inputs: string[];
} | null {
  const at = kernel.bindings.findIndex(({ access }) => access === "read_write");
  const output = regions[at];
  if (kernel.inPlace.length === 0 || !output || !outputOf(kernel) || !begins(output.storage)) return null;
  for (const name of kernel.inPlace) {
    const region = regions[kernel.bindings.findIndex((binding) => binding.name === name)]!;
    const { storage } = region;
    const alike = ({ offset, size }: Region) => offset === output.offset && size === output.size;
    if (!alike(region) || storage.size !== output.storage.size || !ends(storage)) continue;
    const shown = kernel.bindings.filter((_, i) => regions[i]!.storage === storage);
    const all = shown.every((binding) => kernel.inPlace.includes(binding.name));
    if (all && regions.every((other) => other.storage !== storage || alike(other)))
      return { storage, inputs: shown.map((binding) => binding.name) };
  }
  return null;
}
