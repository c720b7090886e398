// What the functions of two and three tensors are in WGSL, with their gradients, a constant each: an app loads those that it
// calls.
import { integers, type Library, order, power, remainder, trigonometry } from "../lib/library.ts";

export interface Definition {
  name: string;
  /** From `a` and `b`, and `condition` where that is the first operand. */
  value: string;
  of: "floats" | "integers" | "all";
  /** The result is u32, 1 where `value` is true and 0 where not. */
  mask?: true;
  /**
   * Of a and of b, from the gradient `dy` of the result `y`, of the result's shape; that of b may name that of a, `da`,
   * before it is summed.
   */
  gradients?: readonly [a: string, b: string];
  /** Floating-point operations of the value and of the gradients, where these are computed. */
  work: readonly number[];
  /** What has the functions that these call. */
  uses?: readonly Library[];
}

export const add: Definition = { name: "add", value: "a + b", of: "all", gradients: ["dy", "dy"], work: [1] };
export const sub: Definition = {
  name: "sub",
  value: "a - b",
  of: "all",
  gradients: ["dy", "-dy"],
  work: [1],
};
export const mul: Definition = {
  name: "mul",
  value: "a * b",
  of: "all",
  gradients: ["dy * b", "dy * a"],
  work: [1, 1, 1],
};
export const div: Definition = {
  name: "div",
  value: "a / b",
  of: "all",
  gradients: ["dy / b", "-da * y"],
  work: [1, 1, 2],
};
export const mod: Definition = {
  name: "mod",
  value: "modulo(a, b)",
  of: "all",
  gradients: ["dy", "-dy * floor(a / b)"],
  work: [6, 0, 3],
  uses: [integers, remainder],
};
export const pow: Definition = {
  name: "pow",
  value: "power(a, b)",
  of: "floats",
  gradients: ["dy * powerSlope(a, b)", "dy * powerGrowth(a, b)"],
  work: [24, 27, 37],
  uses: [power],
};
export const minimum: Definition = {
  name: "minimum",
  value: "lesser(a, b)",
  of: "all",
  gradients: ["dy * lesserShare(a, b)", "dy * lesserShare(b, a)"],
  work: [1, 3, 3],
  uses: [integers, order],
};
export const maximum: Definition = {
  name: "maximum",
  value: "greater(a, b)",
  of: "all",
  gradients: ["dy * lesserShare(b, a)", "dy * lesserShare(a, b)"],
  work: [1, 3, 3],
  uses: [integers, order],
};
export const squaredDifference: Definition = {
  name: "squaredDifference",
  value: "(a - b) * (a - b)",
  of: "floats",
  gradients: ["2.0 * dy * (a - b)", "-da"],
  work: [2, 3],
};
export const atan2: Definition = {
  name: "atan2",
  value: "arc(a, b)",
  of: "floats",
  gradients: ["dy * b / (a * a + b * b)", "-dy * a / (a * a + b * b)"],
  work: [18, 5, 6],
  uses: [trigonometry],
};
export const less: Definition = {
  name: "less",
  value: "(ranks(a) < ranks(b)) & ordered(a, b)",
  of: "all",
  mask: true,
  work: [1],
  uses: [integers, order],
};
export const lessEqual: Definition = {
  name: "lessEqual",
  value: "(ranks(a) <= ranks(b)) & ordered(a, b)",
  of: "all",
  mask: true,
  work: [1],
  uses: [integers, order],
};
export const greater: Definition = {
  name: "greater",
  value: "(ranks(a) > ranks(b)) & ordered(a, b)",
  of: "all",
  mask: true,
  work: [1],
  uses: [integers, order],
};
export const greaterEqual: Definition = {
  name: "greaterEqual",
  value: "(ranks(a) >= ranks(b)) & ordered(a, b)",
  of: "all",
  mask: true,
  work: [1],
  uses: [integers, order],
};
export const equal: Definition = {
  name: "equal",
  value: "(ranks(a) == ranks(b)) & ordered(a, b)",
  of: "all",
  mask: true,
  work: [1],
  uses: [integers, order],
};
export const notEqual: Definition = {
  name: "notEqual",
  value: "(ranks(a) != ranks(b)) | !ordered(a, b)",
  of: "all",
  mask: true,
  work: [1],
  uses: [integers, order],
};
export const bitAnd: Definition = { name: "bitAnd", value: "a & b", of: "integers", work: [0] };
export const bitOr: Definition = { name: "bitOr", value: "a | b", of: "integers", work: [0] };
export const bitXor: Definition = { name: "bitXor", value: "a ^ b", of: "integers", work: [0] };
export const shiftLeft: Definition = {
  name: "shiftLeft",
  value: "shiftedLeft(a, b)",
  of: "integers",
  work: [0],
  uses: [integers],
};
export const shiftRight: Definition = {
  name: "shiftRight",
  value: "shiftedRight(a, b)",
  of: "integers",
  work: [0],
  uses: [integers],
};
export const where: Definition = {
  name: "where",
  value: "select(b, a, condition != vec4u())",
  of: "all",
  gradients: ["select(vec4f(), dy, condition != vec4u())", "select(dy, vec4f(), condition != vec4u())"],
  work: [1, 1, 1],
};
