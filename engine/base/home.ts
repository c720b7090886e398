// Where the engine runs.

/** Whether WebGPU has to come from the package `webgpu`. Deno calls itself Node, but brings WebGPU as a browser does. */
export const inNode =
  typeof process !== "undefined" &&
  process.versions?.node !== undefined &&
  process.versions.deno === undefined;
