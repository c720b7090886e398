// Some drivers compile a pipeline only when it first runs: llvmpipe takes up to seconds for it then, in its queue. So
// each pipeline is sent there early, with nothing to do: a dispatch whose number of workgroups, read from a buffer, is 0.

import { makeParamBuffer } from "./commands.ts";
import { usage } from "./flags.ts";
import type { CompiledKernel, PipelineCache } from "./pipelines.ts";

/** Bytes behind each binding; nothing reads or writes them. */
const scratchBytes = 256;

/** Sends every pipeline to the device's queue once, in order; all must be ready. */
export function warmUp(
  device: GPUDevice,
  pipelines: PipelineCache,
  kernels: readonly CompiledKernel[],
): void {
  const params = makeParamBuffer(device, pipelines.paramLayout, 1, usage.uniform);
  const nothing = device.createBuffer({ size: 12, usage: usage.indirect });
  const scratch: GPUBuffer[] = [];
  for (const { pipeline, layout, bindings, name } of kernels) {
    while (scratch.length < bindings)
      scratch.push(device.createBuffer({ size: scratchBytes, usage: usage.storage }));
    const entries = scratch.slice(0, bindings).map((buffer, binding) => ({ binding, resource: { buffer } }));
    // A submit each: the device starts on the first while the next ones are encoded.
    const encoder = device.createCommandEncoder({ label: `warm ${name}` });
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline!);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
    pass.setBindGroup(1, params.group, [0]);
    pass.dispatchWorkgroupsIndirect(nothing, 0);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }
  for (const buffer of [params.buffer, nothing, ...scratch]) buffer.destroy();
}
