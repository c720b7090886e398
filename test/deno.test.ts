// The op table in Deno, on wgpu and naga: the WebGPU of Firefox. naga compiles one pipeline after the other, ten minutes of
// them for the whole table, so that here are every kernel in every dtype (what `doctor --check` asks of a driver) and each
// fourth case of the rest.
import { test } from "uvu";
import { testedCases } from "../cases/check.ts";
import { driverCases } from "../cases/driver.ts";
import { openDeno } from "./deno/harness.ts";
import { testHome } from "./home.ts";

const kernels = new Set(driverCases);
const cases = testedCases.filter((opCase, i) => kernels.has(opCase) || i % 4 === 0);

await testHome("Deno", await openDeno(cases.map(({ name }) => name)), cases);

test.run();
