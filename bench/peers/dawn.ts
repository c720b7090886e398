// Gives libraries that were written for browsers the WebGPU of Node: the same package, and so the same Dawn, that our
// engine runs on. They also wait as our engine does (engine/gpu/wait.ts): left to Dawn's polling they would lose a core, which
// on a software adapter is a good part of the machine, and kernels are what is compared.
import { createRequire } from "node:module";
// Iterator helpers, which browsers and Node 22 have, and jax-js uses.
import "core-js/actual/iterator/index.js";

/** Puts `navigator.gpu` and WebGPU's constants where libraries look for them. */
export function installWebGpu(): void {
  process.env.XDG_RUNTIME_DIR ??= "/tmp";
  const dawn = createRequire(import.meta.url)("webgpu");
  Object.assign(globalThis, dawn.globals);
  const gpu = dawn.create([]);
  // Node 20 has no navigator; jax-js looks for the browser's name in it.
  globalThis.navigator ??= { userAgent: "Node" } as Navigator;
  Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
}
