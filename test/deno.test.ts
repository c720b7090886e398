// The op table in Deno, on wgpu and naga: the WebGPU of Firefox.
import { test } from "uvu";
import { openDeno } from "./deno/harness.ts";
import { testHome } from "./home.ts";

await testHome("Deno", await openDeno());

test.run();
