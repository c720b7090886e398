// The WGSL functions that expressions call: a kernel made of one includes the files whose functions it needs.
import conversions from "./conversions.wgsl?raw";
import functions from "./functions.wgsl?raw";
import hyperbolic from "./hyperbolic.wgsl?raw";
import integers from "./integers.wgsl?raw";
import logarithms from "./logarithms.wgsl?raw";
import nan from "./nan.wgsl?raw";
import order from "./order.wgsl?raw";
import power from "./power.wgsl?raw";
import remainder from "./remainder.wgsl?raw";
import trigonometry from "./trigonometry.wgsl?raw";

const libraries = {
  float: [conversions, functions, hyperbolic, logarithms, nan, order, power, remainder, trigonometry],
  integer: [integers],
};

/** The files whose functions `wgsl` calls, directly or through each other, for numbers of one kind. */
/* @__NO_SIDE_EFFECTS__ */
export function librariesOf(wgsl: string, kind: keyof typeof libraries = "float"): string[] {
  const needed = new Set<string>();
  const visit = (text: string) => {
    for (const library of libraries[kind]) {
      if (needed.has(library)) continue;
      const names = [...library.matchAll(/^fn (\w+)/gm)].map((match) => match[1]);
      if (!names.some((name) => new RegExp(`\\b${name}\\(`).test(text))) continue;
      needed.add(library);
      visit(library);
    }
  };
  visit(wgsl);
  return [...needed];
}
