// The WGSL functions that expressions call. What is made of an expression names the files that have its functions, so that
// an app loads no others; a kernel includes those of them whose functions its own text calls.
import conversionsSource from "./conversions.wgsl?raw";
import geluSource from "./gelu.wgsl?raw";
import hyperbolicSource from "./hyperbolic.wgsl?raw";
import integersSource from "./integers.wgsl?raw";
import logarithmsSource from "./logarithms.wgsl?raw";
import nanSource from "./nan.wgsl?raw";
import orderSource from "./order.wgsl?raw";
import powerSource from "./power.wgsl?raw";
import remainderSource from "./remainder.wgsl?raw";
import sigmoidSource from "./sigmoid.wgsl?raw";
import trigonometrySource from "./trigonometry.wgsl?raw";

/** A file of functions, and those that it calls functions of. */
export interface Library {
  wgsl: string;
  uses: readonly Library[];
  /** Its functions take integers, under the names that others have for floats. */
  integers?: true;
}

export const gelu: Library = { wgsl: geluSource, uses: [] };
export const integers: Library = { wgsl: integersSource, uses: [], integers: true };
export const nan: Library = { wgsl: nanSource, uses: [] };
export const sigmoid: Library = { wgsl: sigmoidSource, uses: [] };
export const order: Library = { wgsl: orderSource, uses: [nan] };
export const power: Library = { wgsl: powerSource, uses: [nan] };
export const remainder: Library = { wgsl: remainderSource, uses: [nan] };
export const trigonometry: Library = { wgsl: trigonometrySource, uses: [nan] };
export const conversions: Library = { wgsl: conversionsSource, uses: [nan, order] };
export const logarithms: Library = { wgsl: logarithmsSource, uses: [order, sigmoid] };
export const hyperbolic: Library = { wgsl: hyperbolicSource, uses: [logarithms] };

/** The texts of those libraries whose functions `wgsl` calls, directly or through each other, for numbers of one kind. */
/* @__NO_SIDE_EFFECTS__ */
export function librariesOf(wgsl: string, libraries: readonly Library[], ofIntegers = false): string[] {
  const needed = new Set<string>();
  const visit = (text: string, libraries: readonly Library[]) => {
    for (const { wgsl, uses, integers = false } of libraries) {
      if (integers !== ofIntegers || needed.has(wgsl)) continue;
      const names = [...wgsl.matchAll(/^fn (\w+)/gm)].map((match) => match[1]);
      if (!names.some((name) => new RegExp(`\\b${name}\\(`).test(text))) continue;
      needed.add(wgsl);
      visit(wgsl, uses);
    }
  };
  visit(wgsl, libraries);
  return [...needed];
}
