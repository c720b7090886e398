// Cases of the picture kernels.
import type { DType } from "../engine/index.ts";
import { patchify, pixelsToFloat, prependToken } from "../kernels/patch/patch.ts";
import { type OpCase, withMasters } from "./case.ts";
import { sumRows } from "./reference.ts";

/** For each element of the patches, where it is in the pictures. */
function patchSources([batch, channels, height, width]: number[], size: number): number[] {
  const sources: number[] = [];
  for (let b = 0; b < batch!; b++)
    for (let top = 0; top < height!; top += size)
      for (let left = 0; left < width!; left += size)
        for (let c = 0; c < channels!; c++)
          for (let y = top; y < top + size; y++)
            for (let x = left; x < left + size; x++)
              sources.push(((b * channels! + c) * height! + y) * width! + x);
  return sources;
}

export function patchifyCase(shape: number[], size: number, dtype: DType = "f32"): OpCase {
  const sources = patchSources(shape, size);
  return {
    name: `patchify ${shape.join("x")} by ${size} ${dtype}`,
    inputs: [{ name: "pictures", shape, dtype }],
    run: ([pictures]) => patchify(pictures!, size),
    reference: ([pictures]) => Float64Array.from(sources, (source) => pictures![source]!),
    gradients: (_, dy) => {
      const dx = new Float64Array(dy.length);
      sources.forEach((source, i) => {
        dx[source] = dy[i]!;
      });
      return [dx];
    },
  };
}

const mean = [0.48145466, 0.4578275, 0.40821073];
const std = [0.26862954, 0.26130258, 0.27577711];

export function pixelsCase(
  batch: number,
  height: number,
  width: number,
  patch: number | null = null,
  dtype: "f32" | "f16" = "f32",
): OpCase {
  const pixels = height * width;
  const size = batch * pixels * 3;
  const planes = Array.from({ length: size }, (_, i) => i);
  const sources = patch ? patchSources([batch, 3, height, width], patch) : planes;
  return {
    name: `pixelsToFloat ${batch}x${height}x${width}${patch ? ` by ${patch}` : ""}${dtype === "f16" ? " to f16" : ""}`,
    // Bytes come in, floats go out.
    ...(dtype === "f16" ? { half: true, tolerance: 2 ** -11 } : { tolerance: 1e-6 }),
    inputs: [{ name: "words", shape: [Math.ceil(size / 4)], dtype: "u32", draw: { below: 2 ** 32 } }],
    run: ([words]) => pixelsToFloat(words!, [batch, height, width, 3], mean, std, { patch, dtype }),
    reference: ([words]) => {
      const bytes = new Uint8Array(Uint32Array.from(words!).buffer);
      return Float64Array.from(sources, (i) => {
        const channel = Math.floor(i / pixels) % 3;
        const byte = bytes[(Math.floor(i / pixels / 3) * pixels + (i % pixels)) * 3 + channel]!;
        return (byte / 255 - mean[channel]!) / std[channel]!;
      });
    },
  };
}

export function prependCase(
  batch: number,
  length: number,
  width: number,
  dtype: DType = "f32",
  tokens = 1,
): OpCase {
  const prefix = tokens * width;
  const sequence = prefix + length * width;
  const place = (i: number) => ({ b: Math.floor(i / sequence), rest: i % sequence });
  const rowOf = (i: number) => {
    const { b, rest } = place(i);
    return b * length * width + rest - prefix;
  };
  return {
    name: `prependToken ${batch}x${length}x${width}${tokens > 1 ? ` of ${tokens}` : ""} ${dtype}`,
    inputs: [
      { name: "x", shape: [batch, length, width], dtype },
      { name: "token", shape: tokens > 1 ? [tokens, width] : [width], dtype },
      { name: "positions", shape: [tokens + length, width], dtype },
    ],
    run: ([x, token, positions]) => prependToken(x!, token!, positions!),
    reference: ([x, token, positions]) =>
      Float64Array.from({ length: batch * sequence }, (_, i) => {
        const { rest } = place(i);
        return positions![rest]! + (rest < prefix ? token![rest]! : x![rowOf(i)]!);
      }),
    gradients: ([x, token], dy) => {
      const dx = new Float64Array(x!.length);
      const dToken = new Float64Array(token!.length);
      dy.forEach((incoming, i) => {
        const { rest } = place(i);
        if (rest < prefix) dToken[rest]! += incoming;
        else dx[rowOf(i)] = incoming;
      });
      return [dx, dToken, sumRows(dy, sequence)];
    },
  };
}

export const patchCases: OpCase[] = [
  patchifyCase([2, 3, 8, 12], 4),
  patchifyCase([1, 3, 6, 9], 3),
  patchifyCase([2, 3, 32, 32], 16),
  patchifyCase([2, 2, 4, 4], 2, "f16"),
  patchifyCase([1, 3, 16, 8], 8, "f16"),
  pixelsCase(2, 24, 24),
  pixelsCase(3, 5, 7),
  pixelsCase(2, 8, 12, 4),
  pixelsCase(3, 6, 9, 3),
  pixelsCase(2, 8, 12, 4, "f16"),
  prependCase(3, 4, 8),
  prependCase(5, 20, 40),
  prependCase(3, 25, 11),
  prependCase(2, 5, 3),
  prependCase(3, 4, 8, "f32", 5),
  prependCase(2, 5, 3, "f32", 2),
  prependCase(1, 1, 12, "f16"),
  prependCase(4, 2, 5, "f16"),
  withMasters(prependCase(3, 4, 8, "f16"), "token", "positions"),
];
