// Compiles kernels into pipelines, each specialisation once and many at a time (createComputePipelineAsync): a cold
// pipeline costs tenths of a second on a software driver. A WGSL error is shown with the kernel's name and the
// numbered source lines around it.

import type { DType } from "../base/dtype.ts";
import { KernelError, type WgslFault } from "../base/errors.ts";
import { computeStage } from "./flags.ts";
import { type Constants, type Kernel, type Lanes, wgslParts } from "./kernel.ts";
import type { Session } from "./session.ts";

/** One specialisation of a kernel. `pipeline` is null until `ready` resolves. */
export interface CompiledKernel {
  id: number;
  kernel: Kernel;
  dtype: DType;
  constants: Constants;
  name: string;
  pipeline: GPUComputePipeline | null;
  /** Why it does not compile. */
  failure: KernelError | null;
  /** Compilation begins with the first who asks. Rejects with `failure`. */
  readonly ready: Promise<void>;
  layout: GPUBindGroupLayout;
}

const storageTypes = { read: "read-only-storage", read_write: "storage" } as const;

export class PipelineCache {
  /** All pipelines made so far, for the check that a steady step makes none. */
  created = 0;
  /** Whether those that ask record a step which never runs: nothing compiles. */
  planning = false;
  private numbers = 0;
  private readonly compiled = new Map<Kernel, Map<string, CompiledKernel>>();
  private readonly layouts = new Map<string, { bind: GPUBindGroupLayout; pipeline: GPUPipelineLayout }>();

  constructor(
    private readonly session: Session,
    private readonly lanes: Lanes,
  ) {}

  /** The pipeline for a kernel with these constants, which compiles when somebody asks whether it is `ready`. */
  get(kernel: Kernel, dtype: DType, constants: Constants): CompiledKernel {
    if (this.planning) return this.blank(kernel, dtype, constants);
    let variants = this.compiled.get(kernel);
    if (!variants) {
      variants = new Map();
      this.compiled.set(kernel, variants);
    }
    let key: string = dtype;
    for (const name in constants) key += `,${name}=${constants[name]}`;
    let entry = variants.get(key);
    if (!entry) {
      entry = this.compile(kernel, dtype, constants);
      variants.set(key, entry);
    }
    return entry;
  }

  /** Stands for a specialisation of which nothing compiles. */
  private blank(kernel: Kernel, dtype: DType, constants: Constants): CompiledKernel {
    const { name } = kernel;
    const ready = Promise.resolve();
    const layout = this.layout(kernel).bind;
    return { id: 0, kernel, dtype, constants, name, pipeline: null, failure: null, ready, layout };
  }

  private compile(kernel: Kernel, dtype: DType, constants: Constants): CompiledKernel {
    let started: Promise<void> | null = null;
    const start = async () => {
      this.created++;
      const parts = wgslParts(kernel, dtype, constants, this.lanes);
      // The scope keeps the module's own error from being reported a second time as an uncaptured one.
      const { device } = this.session;
      device.pushErrorScope("validation");
      const module = device.createShaderModule({ code: parts.join("\n"), label: kernel.name });
      const moduleError = device.popErrorScope().catch(() => null);
      const layout = this.layout(kernel).pipeline;
      const descriptor = { label: kernel.name, layout, compute: { module } };
      try {
        entry.pipeline = await this.session.settle(device.createComputePipelineAsync(descriptor));
      } catch (cause) {
        if (this.session.ended) throw this.session.ended;
        entry.failure = await explain(kernel.name, parts, module, (await moduleError) ?? (cause as Error));
        throw entry.failure;
      }
    };
    const entry: CompiledKernel = {
      ...this.blank(kernel, dtype, constants),
      id: ++this.numbers,
      get ready() {
        if (!started) {
          started = start();
          // Whoever flushes awaits it; this keeps an early failure from counting as unhandled meanwhile.
          started.catch(() => {});
        }
        return started;
      },
    };
    return entry;
  }

  private layout(kernel: Kernel): { bind: GPUBindGroupLayout; pipeline: GPUPipelineLayout } {
    const key = kernel.bindings.map((binding) => binding.access).join();
    let layout = this.layouts.get(key);
    if (!layout) {
      // Tensors first, then the parameters: any slot of a buffer.
      const buffers: GPUBufferBindingLayout[] = [
        ...kernel.bindings.map(({ access }) => ({ type: storageTypes[access] })),
        { type: "uniform", hasDynamicOffset: true },
      ];
      const bind = this.session.device.createBindGroupLayout({
        label: key,
        entries: buffers.map((buffer, binding) => ({ binding, visibility: computeStage, buffer })),
      });
      const pipeline = this.session.device.createPipelineLayout({ bindGroupLayouts: [bind] });
      layout = { bind, pipeline };
      this.layouts.set(key, layout);
    }
    return layout;
  }
}

/** The compiler's messages with source lines, numbered as in the text that they stand in. */
async function explain(
  name: string,
  texts: readonly string[],
  module: GPUShaderModule,
  cause: { message: string },
): Promise<KernelError> {
  const files = texts.map((text) => text.split("\n"));
  const { messages } = await module.getCompilationInfo();
  const faults = messages
    .filter((message) => message.type === "error")
    .map(({ lineNum, linePos, message }): WgslFault => {
      let [text, line] = [0, lineNum];
      while (text < texts.length - 1 && line > files[text]!.length) line -= files[text++]!.length;
      return { text, line, column: linePos, message };
    });
  const parts = faults.map(({ text, line, message }) => {
    const place = text === 0 ? " of what is derived" : text < texts.length - 1 ? ` of include ${text}` : "";
    const from = Math.max(0, line - 3);
    const excerpt = files[text]!.slice(from, line + 2).map(
      (code, i) => `${from + i + 1 === line ? ">" : " "} ${String(from + i + 1).padStart(4)} | ${code}`,
    );
    return `line ${line}${place}: ${message}\n${excerpt.join("\n")}`;
  });
  const why = parts.length > 0 ? parts.join("\n") : cause.message;
  return new KernelError(`Kernel "${name}" does not compile. ${why}`, { cause }, faults);
}
