// Some drivers compile a pipeline only when it first runs: llvmpipe takes up to seconds for it then, on one thread. So
// each pipeline is sent there early, with nothing to do: a dispatch whose number of workgroups, read from a buffer, is 0.
// Several devices of one adapter compile at the same time; what one has compiled the others find in the driver's cache.

import { paramBuffer } from "./commands.ts";
import { usage } from "./flags.ts";
import { boundParamBytes, mostMembers } from "./kernel.ts";
import type { CompiledKernel, PipelineCache } from "./pipelines.ts";
import type { Session } from "./session.ts";

/** Bytes behind each binding; nothing reads or writes them. */
const scratchBytes = 256;

/** Sends pipelines to the queue of one device, each in a submit of its own. */
export class Warmer {
  private readonly params: GPUBuffer;
  private readonly nothing: GPUBuffer;
  private readonly scratch: GPUBuffer[] = [];

  constructor(
    private readonly session: Session,
    private readonly pipelines: PipelineCache,
  ) {
    this.params = this.makeBuffer(paramBuffer(mostMembers, usage.uniform));
    this.nothing = this.makeBuffer({ size: 12, usage: usage.indirect, label: "an empty grid" });
  }

  /** Sends the pipeline for a kernel that any device compiled. Throws KernelError. */
  async send({ kernel, dtype, constants }: CompiledKernel): Promise<void> {
    const { session, scratch } = this;
    const { device } = session;
    const compiled = this.pipelines.get(kernel, dtype, constants);
    await session.settle(compiled.ready);
    while (scratch.length < kernel.bindings.length)
      scratch.push(this.makeBuffer({ size: scratchBytes, usage: usage.storage, label: "scratch" }));
    const resources: GPUBufferBinding[] = kernel.bindings.map((_, i) => ({ buffer: scratch[i]! }));
    resources.push({ buffer: this.params, size: boundParamBytes(kernel) });
    const entries = resources.map((resource, binding) => ({ binding, resource }));
    const encoder = device.createCommandEncoder({ label: `warm ${kernel.name}` });
    const pass = encoder.beginComputePass();
    pass.setPipeline(compiled.pipeline!);
    pass.setBindGroup(0, device.createBindGroup({ layout: compiled.layout, entries }), [0]);
    pass.dispatchWorkgroupsIndirect(this.nothing, 0);
    pass.end();
    device.queue.submit([encoder.finish()]);
  }

  /** Resolves when the device has all that was sent. */
  async done(): Promise<void> {
    await this.session.wait(this.session.device.queue.onSubmittedWorkDone());
  }

  private makeBuffer(descriptor: GPUBufferDescriptor): GPUBuffer {
    return this.session.makeBuffer(descriptor, (error) => this.session.report(error));
  }

  destroy(): void {
    for (const buffer of [this.params, this.nothing, ...this.scratch]) this.session.destroyBuffer(buffer);
  }
}

/** Has the first device compile all kernels, with the help of the others. */
export async function warmUp([own, ...helpers]: Warmer[], kernels: readonly CompiledKernel[]): Promise<void> {
  // What takes longest to compile goes first, by the length of its text, so that all are done at about the same time.
  const left = [...kernels].sort((a, b) => a.kernel.source.length - b.kernel.source.length);
  const share = async (warmer: Warmer, each: (kernel: CompiledKernel) => void) => {
    for (let kernel = left.pop(); kernel; kernel = left.pop()) {
      await warmer.send(kernel);
      if (helpers.length > 0) await warmer.done();
      each(kernel);
    }
  };
  const elsewhere: CompiledKernel[] = [];
  await Promise.all([
    share(own!, () => {}),
    ...helpers.map((warmer) => share(warmer, (kernel) => elsewhere.push(kernel))),
  ]);
  for (const kernel of elsewhere) await own!.send(kernel);
}
