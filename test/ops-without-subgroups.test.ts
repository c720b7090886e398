// The op table on an engine that does without subgroups.
import { test } from "uvu";
import { testEngines } from "./op-engines.ts";

await testEngines((label) => label === "without subgroups");

test.run();
