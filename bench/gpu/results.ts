// The file that the bench for GPUs writes. Whatever was not reached is absent or null: a file of a run that was cut short
// is as good as its parts.
import { z } from "zod";

const number = z.number();
const timing = z.object({
  ms: number.positive(),
  least: number.positive(),
  most: number.positive(),
  runs: z.int().positive(),
  gpu_ms: number.nullable(),
  dispatches: z.int().nullable(),
});

const torchTiming = timing.extend({
  peak_bytes: number.optional(),
  parameters: number.optional(),
  loss: number.optional(),
});

/** By what PyTorch computes in, "f16, compiled" for torch.compile; a text says why there is no time. */
const torchSide = z.record(z.string(), z.union([torchTiming, z.string()]));

const tuned = z.object({ key: z.string(), variant: z.string(), milliseconds: z.record(z.string(), number) });

const caseSchema = z.object({
  name: z.string(),
  group: z.enum(["products", "attention", "memory"]),
  weighted: z.boolean(),
  /** Operations, and the least bytes that are moved; null where they are not what counts. */
  flops: number.nullable(),
  bytes: number.nullable(),
  /** Relative error by float64, of the result; null where nothing was looked at. */
  error: number.nullable(),
  tolerance: number.nullable(),
  /** By the rules that choose kernels, and by what `tune` found fastest. */
  untuned: timing.nullable(),
  ours: timing.nullable(),
  variants: z.array(tuned),
  torch: torchSide,
  /** Why ours has no time, or that its numbers are wrong. */
  failure: z.string().nullable(),
});

const stepSchema = z.object({
  name: z.string(),
  model: z.enum(["vit", "case"]),
  image: z.int(),
  batch: z.int(),
  precision: z.enum(["f32", "f16"]),
  flops: number,
  parameters: number.nullable(),
  dispatches: number.nullable(),
  /** Bytes of all that a step holds, and of its planned memory. */
  bytes: number.nullable(),
  planned_bytes: number.nullable(),
  loss: number.nullable(),
  untuned: timing.nullable(),
  ours: timing.nullable(),
  torch: torchSide,
  failure: z.string().nullable(),
});

const opsSchema = z.object({
  cases: z.int(),
  passed: z.int(),
  /** Cases whose numbers were wrong, and cases that ended the process or took too long. */
  failed: z.array(z.object({ name: z.string(), failures: z.array(z.string()) })),
  /** Reason and number. */
  skipped: z.record(z.string(), z.int()),
  /** Not reached in time. */
  unreached: z.int(),
  /** The largest relative error among those that passed. */
  worst: number,
});

const rowSchema = z.object({
  name: z.string(),
  calls: number,
  milliseconds: number,
  flops: number,
  bytes: number,
  gflops: number.nullable(),
  gbps: number.nullable(),
  bound: z.string(),
  ofPeak: number.nullable(),
});

const profileSchema = z.object({
  name: z.string(),
  gpuMilliseconds: number,
  stepMilliseconds: number,
  dispatches: number,
  hostMicroseconds: number,
  timing: z.string(),
  kernels: z.array(rowSchema),
  shapes: z.array(rowSchema),
});

export const gpuResultsSchema = z.object({
  kind: z.literal("gpu"),
  date: z.string(),
  quick: z.boolean(),
  /** The most it may take, and what it took so far. */
  budget_seconds: number,
  seconds: number,
  commit: z.string().nullable(),
  machine: z.object({
    node: z.string(),
    cpu: z.string(),
    /** What nvidia-smi says, by its names. */
    card: z.record(z.string(), z.string()).nullable(),
    adapter: z
      .object({
        adapter: z.string(),
        vendor: z.string(),
        architecture: z.string(),
        software: z.boolean(),
        lanes: z.string(),
        features: z.array(z.string()),
        limits: z.record(z.string(), number),
        matrix_shapes: z.array(z.string()),
        /** Dawn's switches behind all figures of this file. */
        dawn: z.array(z.string()),
      })
      .nullable(),
    torch: z.record(z.string(), z.union([z.string(), number, z.null()])).nullable(),
  }),
  parts: z.array(
    z.object({
      name: z.string(),
      /** "cut": its time was over before its work. */
      status: z.enum(["done", "cut", "failed", "left out"]),
      seconds: number,
      notes: z.array(z.string()),
      /** What nvidia-smi said at its end. */
      card: z.record(z.string(), z.string()).nullable(),
    }),
  ),
  peak: z.object({ gflops: number, gbps: number, copy_gbps: number, copy_bytes: number }).nullable(),
  /** PyTorch's copy of as many bytes, 1e9 read and written a second. */
  torch_copy_gbps: number.nullable(),
  /** What `casement doctor --check` says. */
  check: z.object({ passed: z.int(), failed: z.array(z.string()), skipped: z.int() }).nullable(),
  matrix: opsSchema.nullable(),
  ops: opsSchema.nullable(),
  cases: z.array(caseSchema),
  steps: z.array(stepSchema),
  profiles: z.array(profileSchema),
});

export type GpuResults = z.infer<typeof gpuResultsSchema>;
export type GpuCase = z.infer<typeof caseSchema>;
export type GpuStep = z.infer<typeof stepSchema>;
export type OpsResult = z.infer<typeof opsSchema>;
export type TorchTiming = z.infer<typeof torchTiming>;

/** PyTorch's time in a mode, where there is one. */
export function torchTime(torch: GpuCase["torch"], mode: string): TorchTiming | null {
  const found = torch[mode];
  return typeof found === "object" ? found : null;
}

/** Whether a file of results is one of these, not one of the bench for all adapters. */
export function isGpuResults(value: unknown): boolean {
  return (value as { kind?: unknown }).kind === "gpu";
}

/** PyTorch's eager time in a precision; for f16 the faster of f16 and bf16, which it computes alike. */
export function eagerTime(torch: GpuCase["torch"], precision: "f32" | "f16"): TorchTiming | null {
  const modes = precision === "f32" ? ["f32"] : ["f16", "bf16"];
  const times = modes.flatMap((mode) => torchTime(torch, mode) ?? []);
  return times.length === 0 ? null : times.reduce((a, b) => (b.ms < a.ms ? b : a));
}
