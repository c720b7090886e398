// The order of numbers and what is turned round in it, for floats and for integers.
import type { Computed } from "../lib/items.ts";
import nanSource from "../lib/nan.wgsl?raw";
import wholeSource from "../lib/whole.wgsl?raw";
import turnedSource from "./turned.wgsl?raw";

/** The includes that bring `turned`, and INFINITE and `nan` beside it. */
export const orderOf = (one: Computed): string[] => [one === "f32" ? nanSource : wholeSource, turnedSource];
