/**
 * A kernel parameter that changes from run to run of a captured step: learning rate, random key. Where a parameter takes
 * a number it takes a Scalar too; a plain number is fixed when the step is captured.
 */
export class Scalar {
  constructor(public value: number) {}
}

/** The number that stands for a parameter now. */
export function numberOf(value: number | Scalar): number {
  return typeof value === "number" ? value : value.value;
}
