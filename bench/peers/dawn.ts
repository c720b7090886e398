// Gives libraries that were written for browsers the WebGPU of Node: the same package, and so the same Dawn, that our
// engine runs on. They also wait as our engine does (engine/wait.ts): left to Dawn's polling they would lose a core, which
// on a software adapter is a good part of the machine, and kernels are what is compared.
import { createRequire } from "node:module";

/** Puts `navigator.gpu` and WebGPU's constants where libraries look for them. */
export function installWebGpu(): void {
  process.env.XDG_RUNTIME_DIR ??= "/tmp";
  // An iterator helper that browsers and Node 22 have, and jax-js uses.
  const iterator = Object.getPrototypeOf(Object.getPrototypeOf([].values()));
  iterator.map ??= function* map(this: Iterable<unknown>, change: (value: unknown) => unknown) {
    for (const value of this) yield change(value);
  };
  const dawn = createRequire(import.meta.url)("webgpu");
  Object.assign(globalThis, dawn.globals);
  const gpu = dawn.create([]);
  // Node 20 has no navigator; jax-js looks for the browser's name in it.
  globalThis.navigator ??= { userAgent: "Node" } as Navigator;
  Object.defineProperty(navigator, "gpu", { value: gpu, configurable: true });
}
