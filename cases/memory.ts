// Ops that memory bounds, on rows of 1,536 columns: as many rows as no cache holds, or as fold every grid on a GPU. They stand
// beside the table, which has the same ops at odd and small sizes: only the benches take them, and each tells its bytes, so that
// they are seen beside a copy.
import { bytesPerElement, type DType, sizeOf, type Tensor } from "../engine/index.ts";
import { averagePool2d, maxPool2d } from "../kernels/conv/pool.ts";
import { less, minimum, mul, where } from "../kernels/elementwise/arithmetic.ts";
import { clamp, silu } from "../kernels/elementwise/unary.ts";
import { gather, scatterAdd, takeAlongAxis } from "../kernels/gather/gather.ts";
import { groupnorm } from "../kernels/layernorm/groupnorm.ts";
import { rmsnorm } from "../kernels/layernorm/layernorm.ts";
import { argmax, max, prod } from "../kernels/reduce/reduce.ts";
import { cumsum } from "../kernels/scan/scan.ts";
import { pad } from "../kernels/shape/pad.ts";
import { expand, permute, repeat, tile } from "../kernels/shape/reshape.ts";
import { concat, flip, slice } from "../kernels/shape/slice.ts";
import { logSumExp } from "../kernels/softmax/log-sum-exp.ts";
import type { Draw, Input, OpCase } from "./case.ts";

const columns = 1536;
/** A row as channels of pictures. */
const [channels, height, width] = [4, 16, 24] as const;
const plane = height * width;

type Values = readonly Float64Array[];
/** The element at an index of the result: of row and column of the first input, where the result has its shape. */
type At = (values: Values, index: number, row: number, column: number) => number;

interface Row {
  inputs: Input[];
  /** Of the result. */
  shape: number[];
  run(tensors: Tensor[]): Tensor;
  at: At;
  /** Elements that are read of the inputs, where not all of them are. */
  read?: number;
  /** That of the result, where it is not the inputs'. */
  dtype?: DType;
}

function table(rows: number, dtype: DType): Record<string, Row> {
  const whole = [rows, columns];
  const pictures = [rows, channels, height, width];
  const x: Input = { name: "x", shape: whole, dtype };
  const other: Input = { name: "other", shape: whole, dtype };
  const scale: Input = { name: "scale", shape: [columns], dtype };
  const ids = (name: string, shape: number[], below: number): Input => {
    const draw: Draw = { below };
    return { name, shape, dtype: "u32", draw, grad: false };
  };
  /** Reads x and writes as much. */
  const same = (run: (x: Tensor) => Tensor, at: At): Row => ({
    inputs: [x],
    shape: whole,
    run: ([x]) => run(x!),
    at,
  });
  const both = (run: (a: Tensor, b: Tensor) => Tensor, at: (a: number, b: number) => number): Row => ({
    inputs: [x, other],
    shape: whole,
    run: ([a, b]) => run(a!, b!),
    at: ([a, b], i) => at(a![i]!, b![i]!),
  });
  const ofRows = (run: (x: Tensor) => Tensor, of: (row: Float64Array) => number, result?: DType): Row => ({
    inputs: [x],
    shape: [rows],
    run: ([x]) => run(x!),
    at: ([x], i) => of(x!.subarray(i * columns, (i + 1) * columns)),
    ...(result && { dtype: result }),
  });
  const largest = (row: Float64Array) => row.reduce((a, b) => Math.max(a, b));
  const windows = (x: Float64Array, i: number) => {
    const [half, place] = [width / 2, Math.floor(i / (width / 2))];
    const first = 2 * place * width + 2 * (i % half);
    return [0, 1, width, width + 1].map((step) => x[first + step]!);
  };
  const pooled = (run: (x: Tensor) => Tensor, of: (window: number[]) => number): Row => ({
    inputs: [{ ...x, shape: pictures }],
    shape: [rows, channels, height / 2, width / 2],
    run: ([x]) => run(x!),
    at: ([x], i) => of(windows(x!, i)),
  });
  return {
    minimum: both(minimum, Math.min),
    "less than": { ...both(less, (a, b) => Number(a < b)), dtype: "u32" },
    "mul by channel": {
      inputs: [
        { ...x, shape: pictures },
        { name: "scale", shape: [channels, 1, 1], dtype },
      ],
      shape: pictures,
      run: ([x, scale]) => mul(x!, scale!),
      at: ([x, scale], i) => x![i]! * scale![Math.floor(i / plane) % channels]!,
    },
    where: {
      inputs: [ids("condition", whole, 2), x, other],
      shape: whole,
      run: ([condition, a, b]) => where(condition!, a!, b!),
      at: ([condition, a, b], i) => (condition![i] ? a![i]! : b![i]!),
    },
    clamp: same(
      (x) => clamp(x, -0.5, 0.5),
      ([x], i) => Math.min(Math.max(x![i]!, -0.5), 0.5),
    ),
    silu: same(silu, ([x], i) => x![i]! / (1 + Math.exp(-x![i]!))),
    slice: {
      inputs: [x],
      shape: [rows, 1024],
      run: ([x]) => slice(x!, [null, [256, 1280]]),
      at: ([x], i) => x![Math.floor(i / 1024) * columns + 256 + (i % 1024)]!,
      read: rows * 1024,
    },
    concat: {
      inputs: [x, other],
      shape: [rows, 2 * columns],
      run: ([a, b]) => concat([a!, b!], 1),
      at: ([a, b], i) => {
        const [row, at] = [Math.floor(i / columns / 2), i % (2 * columns)];
        return at < columns ? a![row * columns + at]! : b![row * columns + at - columns]!;
      },
    },
    pad: {
      inputs: [x],
      shape: [rows, columns + 8],
      run: ([x]) =>
        pad(x!, [
          [0, 0],
          [4, 4],
        ]),
      at: ([x], i) => {
        const [row, at] = [Math.floor(i / (columns + 8)), (i % (columns + 8)) - 4];
        return at < 0 || at >= columns ? 0 : x![row * columns + at]!;
      },
    },
    flip: same(
      (x) => flip(x, 1),
      ([x], _, row, column) => x![row * columns + columns - 1 - column]!,
    ),
    "permute to columns": {
      ...same(
        (x) => permute(x, [1, 0]),
        ([x], i) => x![(i % rows) * columns + Math.floor(i / rows)]!,
      ),
      shape: [columns, rows],
    },
    repeat: {
      inputs: [x],
      shape: [2 * rows, columns],
      run: ([x]) => repeat(x!, 2, 0),
      at: ([x], i) => x![Math.floor(i / columns / 2) * columns + (i % columns)]!,
    },
    tile: {
      inputs: [x],
      shape: [rows, 2 * columns],
      run: ([x]) => tile(x!, [1, 2]),
      at: ([x], i) => x![Math.floor(i / columns / 2) * columns + (i % columns)]!,
    },
    expand: {
      inputs: [scale],
      shape: whole,
      run: ([x]) => expand(x!, whole),
      at: ([x], i) => x![i % columns]!,
    },
    gather: {
      inputs: [x, ids("ids", [rows], rows)],
      shape: whole,
      run: ([x, ids]) => gather(x!, ids!),
      at: ([x, ids], _, row, column) => x![ids![row]! * columns + column]!,
    },
    scatterAdd: {
      inputs: [x, ids("ids", [rows], rows), other],
      shape: whole,
      run: ([x, ids, updates]) => scatterAdd(x!, ids!, updates!),
      at: ([x, ids, updates], i, row, column) =>
        ids!.reduce((sum, id, j) => (id === row ? sum + updates![j * columns + column]! : sum), x![i]!),
    },
    takeAlongAxis: {
      inputs: [x, ids("ids", whole, columns)],
      shape: whole,
      run: ([x, ids]) => takeAlongAxis(x!, ids!),
      at: ([x, ids], i, row) => x![row * columns + ids![i]!]!,
    },
    cumsum: same(
      (x) => cumsum(x, 1),
      ([x], i, row) => x!.subarray(row * columns, i + 1).reduce((a, b) => a + b),
    ),
    argmax: ofRows(
      (x) => argmax(x, 1),
      (row) => row.indexOf(largest(row)),
      "u32",
    ),
    max: ofRows((x) => max(x, 1), largest),
    prod: {
      ...ofRows(
        (x) => prod(x, 1),
        (row) => row.reduce((a, b) => a * b),
      ),
      // Products of many such are neither 0 nor infinite.
      inputs: [{ ...x, draw: { at: (_, drawn) => 1 + drawn / 64 } }],
    },
    logSumExp: ofRows(
      (x) => logSumExp(x, 1),
      (row) => Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0)),
    ),
    rmsnorm: {
      inputs: [x, scale],
      shape: whole,
      run: ([x, scale]) => rmsnorm(x!, scale!),
      at: ([x, scale], i, row, column) => {
        const squares = x!.subarray(row * columns, (row + 1) * columns).map((value) => value * value);
        return (x![i]! * scale![column]!) / Math.sqrt(squares.reduce((a, b) => a + b) / columns + 1e-5);
      },
    },
    groupnorm: {
      inputs: [
        { ...x, shape: pictures },
        ...["gamma", "beta"].map((name) => ({ name, shape: [channels], dtype })),
      ],
      shape: pictures,
      run: ([x, gamma, beta]) => groupnorm(x!, 2, gamma!, beta!),
      at: ([x, gamma, beta], i) => {
        const size = (channels / 2) * plane;
        const first = Math.floor(i / size) * size;
        const group = x!.subarray(first, first + size);
        const mean = group.reduce((a, b) => a + b) / size;
        const variance = group.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
        const channel = Math.floor(i / plane) % channels;
        return ((x![i]! - mean) / Math.sqrt(variance + 1e-5)) * gamma![channel]! + beta![channel]!;
      },
    },
    maxPool2d: pooled(
      (x) => maxPool2d(x, 2),
      (window) => Math.max(...window),
    ),
    averagePool2d: pooled(
      (x) => averagePool2d(x, 2),
      (window) => window.reduce((a, b) => a + b) / 4,
    ),
  };
}

/** Each op on so many rows. */
export function memoryCases(rows: number, dtype: DType): OpCase[] {
  return Object.entries(table(rows, dtype)).map(
    ([op, { inputs, shape, run, at, read, dtype: result = dtype }]) => {
      const referenceAt = (values: Values, index: number) =>
        at(values, index, Math.floor(index / columns), index % columns);
      const bytes = (sum: number, { shape, dtype = "f32" }: Input) =>
        sum + sizeOf(shape) * bytesPerElement[dtype];
      const given = read === undefined ? inputs.reduce(bytes, 0) : read * bytesPerElement[dtype];
      return {
        name: `${op}, memory ${rows}x${columns} ${dtype}`,
        inputs,
        run,
        referenceAt,
        reference: (values) => Float64Array.from({ length: sizeOf(shape) }, (_, i) => referenceAt(values, i)),
        bench: { bytes: given + sizeOf(shape) * bytesPerElement[result] },
      };
    },
  );
}
