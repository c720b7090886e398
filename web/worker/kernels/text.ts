// A kernel as one text that people edit: what it includes and its own, one after the other.
import type { Kernel } from "../../../engine/index.ts";

/** All that a kernel's text is, what it includes first. */
export function textOf({ includes, source }: Kernel, subgroups: boolean): string {
  const texts = includes.map((include) =>
    typeof include === "string" ? include : subgroups ? include.subgroups : include.shared,
  );
  return [...texts, source]
    .map((text) => text.trim())
    .join("\n\n")
    .concat("\n");
}

/** The kernel with a text in place of all of its own. That it knows lanes is said by an include of two forms. */
export function withText(kernel: Kernel, text: string, bindings = kernel.bindings): Kernel {
  const usesLanes = kernel.includes.some((include) => typeof include !== "string");
  return { ...kernel, bindings, source: text, includes: usesLanes ? [{ subgroups: "", shared: "" }] : [] };
}
