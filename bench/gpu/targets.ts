// What the project wants to reach beside PyTorch on an H100. On another card the same figures tell how far it is from that.
import type { Target } from "../targets.ts";
import { eagerTime, type GpuCase, type GpuResults, type GpuStep, torchTime } from "./results.ts";

type Value = { at: number; where: string };

/** The least of the values by `sign`, -1 for the greatest; null where there are none. */
function worst(values: readonly Value[], sign = 1): Value | null {
  return values.length === 0 ? null : values.reduce((a, b) => (sign * b.at < sign * a.at ? b : a));
}

/** A case that failed has reached nothing, however fast its numbers came. */
function share(result: GpuCase, of: (result: GpuCase, ms: number) => number | null): Value[] {
  if (result.failure) return [{ at: 0, where: `${result.name}: ${result.failure}` }];
  const at = result.ours && of(result, result.ours.ms);
  return at === null ? [] : [{ at, where: result.name }];
}

/** PyTorch's time over ours, in one of its modes. */
const beside = (mode: string) => (result: GpuCase, ms: number) => {
  const theirs = torchTime(result.torch, mode);
  return theirs && theirs.ms / ms;
};

/** Products that fill a card: of 4,096 and more, and BLIP-base's layers at 32 pictures. */
const large = ({ flops }: GpuCase) => (flops ?? 0) > 5e10;
const inHalf = ({ name }: GpuCase) => name.includes(" f16");

const least = (name: string, limit: number, value: Target<GpuResults>["value"]): Target<GpuResults> => ({
  ...{ name, limit, value, goal: `at least ${limit}`, atMost: false },
});
const most = (
  name: string,
  limit: number,
  unit: string,
  value: Target<GpuResults>["value"],
): Target<GpuResults> => ({
  ...{ name, limit, value, goal: `at most ${limit}${unit}`, atMost: true },
});

const isCase = ({ name, torch, precision }: GpuStep) =>
  name.startsWith("BLIP-base CASE") && eagerTime(torch, precision) !== null;

export const gpuTargets: readonly Target<GpuResults>[] = [
  least("product of 4096³ in f32, PyTorch without TF32 / ours", 0.9, ({ cases }) =>
    worst(
      cases
        .filter(({ name }) => name.includes(" nn 4096x4096x4096 f32"))
        .flatMap((result) => share(result, beside("f32"))),
    ),
  ),
  least("large products in f16, PyTorch's bf16 / ours, worst case", 0.6, ({ cases }) =>
    worst(
      cases
        .filter((result) => result.group === "products" && inHalf(result) && large(result))
        .flatMap((result) => share(result, beside("bf16"))),
    ),
  ),
  least("attention in f16, PyTorch's flash kernels in bf16 / ours, worst case", 0.6, ({ cases }) =>
    worst(
      cases
        .filter((result) => result.group === "attention" && inHalf(result) && result.name.includes(" large "))
        .flatMap((result) => share(result, beside("bf16"))),
    ),
  ),
  least("ops bound by memory, share of a copy's speed, worst case", 0.85, ({ cases, peak }) =>
    worst(
      cases
        // Smaller ones stay in a cache.
        .filter(({ group, bytes }) => group === "memory" && (bytes ?? 0) > 1e8)
        .flatMap((result) => share(result, (_, ms) => peak && result.bytes! / ms / 1e6 / peak.copy_gbps)),
    ),
  ),
  least("step of BLIP-base CASE, eager PyTorch in the same precision / ours, worst case", 1, ({ steps }) =>
    worst(
      steps.filter(isCase).map(({ name, ours, torch, precision, failure }) => {
        const theirs = eagerTime(torch, precision)!;
        return failure || !ours
          ? { at: 0, where: `${name}: ${failure ?? "no time"}` }
          : { at: theirs.ms / ours.ms, where: name };
      }),
    ),
  ),
  most("its memory, ours / PyTorch's peak, worst case", 1, "", ({ steps }) =>
    worst(
      steps.filter(isCase).flatMap(({ name, bytes, torch, precision }) => {
        const { peak_bytes } = eagerTime(torch, precision)!;
        return bytes && peak_bytes ? [{ at: bytes / peak_bytes, where: name }] : [];
      }),
      -1,
    ),
  ),
  most("step of emoji-tiny", 4, " ms", ({ steps }) =>
    worst(
      steps.flatMap(({ name, ours, precision, failure }) =>
        name.startsWith("emoji-tiny") && precision === "f32" && ours && !failure
          ? [{ at: ours.ms, where: name }]
          : [],
      ),
    ),
  ),
];
