// The op table on an engine that divides every dispatch, as where all of it takes the device long, and the kernels of rows on one
// that has several groups of lanes for a row, as a GPU has.
import { test } from "uvu";
import { testEngines } from "./op-engines.ts";

await testEngines((label) => label === "in parts" || label === "wide rows");

test.run();
