// Asks Dawn for the adapter casement would get and prints what it is as one line of JSON. It runs as a
// child process, because a broken driver can end the process that loads it.
import { create } from "webgpu";

// The collector must not take this object while an adapter lives: the process would crash.
globalThis.probeGpu = create(["enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia"]);

const adapter = await globalThis.probeGpu.requestAdapter({ powerPreference: "high-performance" });
if (!adapter) process.exit(3);

const { info, limits } = adapter;
const names = (object) => [
  ...new Set(Object.keys(object).concat(Object.keys(Object.getPrototypeOf(object)))),
];
const report = {
  vendor: info.vendor,
  architecture: info.architecture,
  device: info.device,
  description: info.description,
  subgroupMinSize: info.subgroupMinSize,
  subgroupMaxSize: info.subgroupMaxSize,
  subgroupMatrixConfigs: [...(info.subgroupMatrixConfigs ?? [])].map((c) => ({
    componentType: c.componentType,
    resultComponentType: c.resultComponentType,
    M: c.M,
    N: c.N,
    K: c.K,
  })),
  features: [...adapter.features].sort(),
  limits: Object.fromEntries(
    names(limits)
      .filter((name) => typeof limits[name] === "number")
      .map((name) => [name, limits[name]]),
  ),
};
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
