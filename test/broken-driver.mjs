// A driver that gets some kernels wrong, for tests of what the doctor says of it: preloaded (`node --import`), it stands
// between Dawn and whoever compiles. BROKEN_DRIVER says how, a list of kernel=fault separated by commas.
import { globals } from "webgpu";

const faults = new Map(
  process.env.BROKEN_DRIVER.split(",").map((fault) => /** @type {[string, string]} */ (fault.split("="))),
);
const prototype = globals.GPUDevice.prototype;
const { createShaderModule } = prototype;

prototype.createShaderModule = function (descriptor) {
  const fault = faults.get(descriptor.label);
  let { code } = descriptor;
  if (fault === "crash") process.kill(process.pid, "SIGKILL");
  if (fault === "hang") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  if (fault === "refuse") code = "this driver can't read WGSL";
  if (fault === "miscompile") code = code.replaceAll(/\bexp\(/g, "exp2(");
  if (fault && code === descriptor.code) throw new Error(`${descriptor.label}: nothing to break here`);
  return createShaderModule.call(this, { ...descriptor, code });
};
