// The op table on an engine that divides every dispatch, as where all of it takes the device long.
import { test } from "uvu";
import { testEngines } from "./op-engines.ts";

await testEngines((label) => label === "in parts");

test.run();
