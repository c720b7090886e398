// The cases at the bench's sizes, forward and where they say so backward too: what bench and page measure. No Node here.
import { sizeOf } from "../engine/index.ts";
import { type OpCase, toleranceOf } from "./case.ts";
import { relativeError, sampleIndices } from "./compare.ts";
import { allCases } from "./table.ts";

export interface BenchedCase {
  name: string;
  opCase: OpCase;
  /** With its backward pass, on some gradient of the result. */
  weighted: boolean;
  /** Operations of a run; null where memory is what counts. */
  flops: number | null;
}

/** A case as it is measured; `weighted` with its backward pass. */
export function benched(opCase: OpCase, weighted = false): BenchedCase {
  const { name, flops, bench } = opCase;
  const { backward = 1 } = bench || {};
  return {
    ...{ opCase, weighted },
    name: weighted ? `${name}, forward and backward` : name,
    flops: flops === undefined ? null : flops * (weighted ? backward : 1),
  };
}

export const benchedCases: readonly BenchedCase[] = allCases.flatMap((opCase) => {
  if (!opCase.bench) return [];
  return [benched(opCase), ...(opCase.bench.backward ? [benched(opCase, true)] : [])];
});

/** The relative error of a result by float64, of a sample where all elements take too long. */
export function errorOf(opCase: OpCase, values: Float64Array[], result: ArrayLike<number>): number {
  // A sample could miss a single one.
  if (!Array.prototype.every.call(result, Number.isFinite)) return Number.POSITIVE_INFINITY;
  if (!opCase.referenceAt) return relativeError(result, opCase.reference(values));
  const indices = sampleIndices(result.length);
  return relativeError(
    Float64Array.from(indices, (index) => result[index]!),
    Float64Array.from(indices, (index) => opCase.referenceAt!(values, index)),
  );
}

/** What is wrong with a result by float64; null for nothing. */
export function objection(opCase: OpCase, error: number): string | null {
  const tolerance = toleranceOf(opCase);
  return error <= tolerance
    ? null
    : `the result differs from float64 by ${error.toPrecision(3)}, allowed ${tolerance}`;
}

/** Elements of the result of a case that is run both ways, attention: as many as the queries have, without k and v beside them. */
export function resultSize({ inputs }: OpCase): number {
  return sizeOf(inputs[0]!.shape) / (inputs.length === 1 ? 3 : 1);
}
