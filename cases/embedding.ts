// Cases of embedding and addPositions: few and many ids, equal neighbours, tables larger than the classes of ids.
import type { DType } from "../engine/index.ts";
import { addPositions, embedding } from "../kernels/embedding/embedding.ts";
import { type OpCase, withMasters } from "./case.ts";
import { sumRows } from "./reference.ts";

export function embeddingCase(
  rows: number,
  width: number,
  ids: number[],
  dtype: DType = "f32",
  bench = false,
): OpCase {
  const count = ids.reduce((a, b) => a * b, 1);
  return {
    name: `embedding ${rows}x${width} ids ${ids.join("x")} ${dtype}`,
    inputs: [
      { name: "table", shape: [rows, width], dtype },
      { name: "ids", shape: ids, dtype: "u32", draw: { below: rows }, grad: false },
    ],
    run: ([table, which]) => embedding(table!, which!),
    reference: ([table, which]) =>
      Float64Array.from(
        { length: count * width },
        (_, i) => table![which![Math.floor(i / width)]! * width + (i % width)]!,
      ),
    gradients: ([table, which], dy) => {
      const dTable = new Float64Array(table!.length);
      dy.forEach((incoming, i) => {
        dTable[which![Math.floor(i / width)]! * width + (i % width)]! += incoming;
      });
      return [dTable, null];
    },
    bench: bench && { torch: { op: "embedding" } },
  };
}

export function positionsCase(
  batch: number,
  tokens: number,
  width: number,
  places: number,
  dtype: DType = "f32",
): OpCase {
  return {
    name: `addPositions ${batch}x${tokens}x${width} of ${places} ${dtype}`,
    inputs: [
      { name: "x", shape: [batch, tokens, width], dtype },
      { name: "table", shape: [places, width], dtype },
    ],
    run: ([x, table]) => addPositions(x!, table!),
    reference: ([x, table]) => x!.map((value, i) => value + table![i % (tokens * width)]!),
    gradients: (_, dy) => {
      const dTable = new Float64Array(places * width);
      dTable.set(sumRows(dy, tokens * width));
      return [dy, dTable];
    },
  };
}

export const embeddingCases: OpCase[] = [
  embeddingCase(10, 8, [4, 3]),
  embeddingCase(10, 8, [4, 0]),
  embeddingCase(7, 5, [9]),
  embeddingCase(3, 12, [2, 50]),
  embeddingCase(700, 64, [3, 40]),
  embeddingCase(1, 4, [33]),
  embeddingCase(40, 36, [130]),
  embeddingCase(20, 8, [6, 5], "f16"),
  embeddingCase(5, 3, [40], "f16"),
  embeddingCase(30524, 64, [64, 40], "f32", true),
  positionsCase(3, 4, 8, 6),
  positionsCase(2, 5, 3, 5),
  positionsCase(2, 3, 7, 9, "f16"),
  withMasters(embeddingCase(9, 12, [6, 5], "f16"), "table"),
  withMasters(positionsCase(2, 3, 8, 9, "f16"), "table"),
];
