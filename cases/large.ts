// Cases at sizes that fill a GPU: products of thousands, BLIP-base's layers at 16 to 64 pictures, rows that no cache
// holds. They stand beside the table, as float64 can't follow them whole: only the bench for GPUs takes them, and looks at
// a sample of each result.
import type { DType } from "../engine/index.ts";
import { binaryCase } from "./arithmetic.ts";
import { attentionCase } from "./attention.ts";
import type { OpCase } from "./case.ts";
import { castCase } from "./cast.ts";
import { convCase } from "./conv.ts";
import { embeddingCase } from "./embedding.ts";
import { layernormCase } from "./layernorm.ts";
import { linearCase, matmulCase } from "./matmul.ts";
import { memoryCases } from "./memory.ts";
import { sumLeadingCase } from "./reduce.ts";
import { softmaxCase } from "./softmax.ts";
import { unaryCase } from "./unary.ts";

const dtypes: DType[] = ["f32", "f16"];
const each = (make: (dtype: DType) => OpCase[]) => dtypes.flatMap(make);

/** Rows of 32 and of 64 pictures of 384 pixels, 577 tokens each. */
const [rows, twice] = [32 * 577, 64 * 577];
const width = 768;
const hidden = 3072;
const heads = { heads: 12, headSize: 64, bench: true };

const square = (side: number, dtype: DType, transposeB = false) =>
  matmulCase("large", { m: side, n: side, k: side, dtype, transposeB, bench: true });

export const largeCases: OpCase[] = [
  ...each((dtype) => [
    square(4096, dtype),
    linearCase({ m: rows, n: hidden, k: width, bias: true, gelu: true, dtype, bench: true }),
    linearCase({ m: rows, n: width, k: hidden, bias: true, dtype, bench: true }),
    matmulCase("large", { m: hidden, n: width, k: rows, transposeA: true, dtype, bench: true }),
    square(4096, dtype, true),
    square(1024, dtype),
  ]),
  square(8192, "f16"),
  ...each((dtype) => [
    attentionCase("large", { batch: 16, queries: 577, dtype, ...heads }),
    attentionCase("large", { batch: 64, queries: 36, keys: 577, dtype, ...heads }),
    attentionCase("large", { batch: 64, queries: 197, dtype, ...heads }),
    attentionCase("large", { batch: 128, queries: 36, dtype, ...heads }),
  ]),
  ...each((dtype) => [
    layernormCase({ shape: [twice, width], dtype, bench: true }),
    softmaxCase([12 * 4096, 577], false, dtype, true),
    unaryCase("gelu", [twice / 4, hidden], dtype, true),
    binaryCase("add", [twice / 4, hidden], [hidden], dtype, true),
    binaryCase("mul", [twice / 4, hidden], [twice / 4, hidden], dtype, true),
    castCase([twice / 4, hidden], dtype, dtype === "f32" ? "f16" : "f32", true),
    sumLeadingCase(twice, width, dtype, true),
    embeddingCase(30524, width, [128, 36], dtype, true),
  ]),
  ...each((dtype) => [
    convCase({ x: [32, 128, 56, 56], weight: [128, 128, 3, 3], padding: 1, dtype, bench: true }),
    convCase({ x: [64, 3, 224, 224], weight: [64, 3, 7, 7], stride: 2, padding: 3, dtype, bench: true }),
    ...memoryCases(twice, dtype),
  ]),
];
