// The whole table of op cases, for the tests and the bench.
import type { OpCase } from "./case.ts";
import { matmulCases } from "./matmul.ts";

export const allCases: OpCase[] = [...matmulCases];
