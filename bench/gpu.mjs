#!/usr/bin/env node
// Everything that a machine with a GPU can tell, in at most 7 minutes: `npm run gpu`, or `node bench/gpu.mjs` where there is
// no npm. It needs Node, the packages of `npm ci --omit=dev` with `webgpu`, and a Vulkan driver; PyTorch is measured beside
// ours where a `python3` has it. docs/gpu.md says how to take all that to a bare machine and what comes back.
try {
  await import("../cli/register.mjs");
} catch (error) {
  if (error.code !== "ERR_MODULE_NOT_FOUND") throw error;
  console.error(`${error.message.split("\n")[0]}: npm ci, or docs/gpu.md for a machine without npm`);
  process.exit(1);
}
await import("./gpu/main.ts");
