// What the bench measures: the op table's bench sizes, forward and where they say so backward too, the optimiser, and
// whole training steps.
import { type BenchedCase, benched, benchedCases, errorOf, objection, resultSize } from "../cases/benched.ts";
import { drawInputs } from "../cases/case.ts";
import { memoryCases } from "../cases/memory.ts";
import type { Job, Outputs } from "./protocol.ts";
import { benchVit, numbers, vitConfig, vitFlops } from "./steps.ts";

export interface Measured {
  name: string;
  /** Made when its turn has come: inputs are large. */
  job(): Job;
  /** The same without capture, which takes its turns with the others; not there where nothing is captured. */
  eager?(): Job;
  /** Whether engines of others are asked. */
  peers: boolean;
  /** Operations of a run; null where memory or the host is what counts. */
  flops: number | null;
  /** Bytes that a run must at least read and write, for what has few operations. */
  bytes: number | null;
  /** Allowed relative error between engines. */
  tolerance: number;
  /** What is wrong with our outputs by float64, where the table can tell; null for nothing. */
  check?(outputs: Outputs): string | null;
  /** Part of --quick. */
  quick: boolean;
}

const millions = 10_000_000;

/** --quick takes the cases whose names begin so: one of each kind, none that takes a peer a second. */
const quickNames = [
  "matmul bench nn 512x512x512 f32",
  "linear bias 640x288x96 f32",
  "crossAttention bench",
  "gelu 577x3072 f32",
  "layernorm 4616x768 f32",
  "softmax 6924x577 f32",
];

const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const bytesOf = { f32: 4, u32: 4, i32: 4, f16: 2 };

/** A case of the table, as it is measured. */
export function ofCase({ name: title, opCase, weighted, flops }: BenchedCase): Measured {
  const { name, inputs } = opCase;
  const { peer: asked, bytes: told } = opCase.bench || {};
  const peer = (inputs.every(({ dtype = "f32" }) => dtype === "f32") && asked) || null;
  let values: Float64Array[] = [];
  // Read every input and write a result as large as the first.
  const bytes = [...inputs, inputs[0]!].reduce(
    (sum, { shape, dtype = "f32" }) => sum + sizeOf(shape) * bytesOf[dtype],
    0,
  );
  return {
    name: title,
    job() {
      values = drawInputs(opCase);
      return {
        kind: "op",
        name,
        peer,
        inputs: inputs.map(({ name, shape, dtype = "f32" }, i) => ({
          name,
          shape,
          dtype,
          values: Float32Array.from(values[i]!),
        })),
        weights: weighted ? numbers(resultSize(opCase), 7) : null,
      };
    },
    peers: peer !== null,
    flops,
    bytes: told ?? (/^(softmax|gelu|layernorm) /.test(name) ? bytes : null),
    tolerance: 1e-4,
    check: (outputs) => objection(opCase, errorOf(opCase, values, outputs.result!)),
    quick: quickNames.some((quick) => name.startsWith(quick)),
  };
}

function step(name: string, kind: "vit" | "emoji"): Measured {
  return {
    name,
    job: () => ({ kind, eager: false }),
    eager: () => ({ kind, eager: true }),
    peers: kind === "vit",
    flops: kind === "vit" ? vitFlops(vitConfig(benchVit)) : null,
    bytes: null,
    tolerance: 1e-3,
    quick: false,
  };
}

export const subjects: Measured[] = [
  ...benchedCases.map(ofCase),
  ...memoryCases(1024, "f32").map((opCase) => ofCase(benched(opCase))),
  {
    name: "AdamW on 10 M parameters",
    job: () => ({ kind: "adamw", size: millions }),
    peers: true,
    flops: null,
    // Parameters and two moments are read and written, the gradient is read.
    bytes: 7 * 4 * millions,
    tolerance: 1e-4,
    quick: false,
  },
  step("training step of ViT-Tiny, 12 blocks", "vit"),
  step("training step of emoji-tiny", "emoji"),
];
