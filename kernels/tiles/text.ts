// Writes the words of the vocabulary of tiles that go by a number of units, each unit by its name: compilers keep matrices in
// registers only where an index is a constant. tiles.wgsl has the rest.

const off = "@diagnostic(off, chromium.subgroup_matrix_uniformity)";
const each = (count: number) => Array.from({ length: count }, (_, i) => i);

/** An array that matrices lie in, and how many of their elements one of its own elements has. */
export interface Memory {
  array: string;
  per: number;
}

/** Tiles of f16, and f32 in the same memory. */
const tiles: Memory = { array: "&memory", per: 8 };
const numbers: Memory = { array: "&memory", per: 4 };

const inElements = (count: string, { per }: Memory) => (per === 1 ? count : `(${count}) / ${per}u`);

/**
 * WGSL of `name(at, line)`: `count` matrices of an operand beside each other. `place` says at which element unit i is, in terms of
 * the arguments; `columns` is a constant, whether what lies together is a column, `stride` the elements from one line to the next.
 */
export function load(
  name: string,
  side: "Left" | "Right",
  count: number,
  place: (i: number) => string,
  { memory = tiles, columns, stride }: { memory?: Memory; columns: boolean | string; stride: string },
): string {
  const type = `array<${side}, ${count}>`;
  const matrices = (order: string) =>
    each(count).map(
      (i) =>
        `    subgroupMatrixLoad<${side}, ${order}>(${memory.array}, ${inElements(place(i), memory)}, ${inElements(stride, memory)}),`,
    );
  const way = (order: string) => `  return ${type}(\n${matrices(order).join("\n")}\n  );`;
  const ways =
    typeof columns === "boolean"
      ? way(columns ? "col_major" : "row_major")
      : `  if (${columns}) {\n${way("col_major")}\n  }\n${way("row_major")}`;
  return `${off}
fn ${name}(at: u32, line: u32) -> ${type} {
${ways}
}`;
}

/** WGSL of `name(sums, a, b)`: sums[i][j] += a[i] b[j], row by row in one array. */
export function multiply(name: string, rows: number, columns: number): string {
  const lines = each(rows).flatMap((i) =>
    each(columns).map((j) => {
      const sum = `(*sums)[${i * columns + j}]`;
      return `  ${sum} = subgroupMatrixMultiplyAccumulate(a[${i}], b[${j}], ${sum});`;
    }),
  );
  return `${off}
fn ${name}(sums: ptr<function, array<Result, ${rows * columns}>>, a: array<Left, ${rows}>, b: array<Right, ${columns}>) {
${lines.join("\n")}
}`;
}

/**
 * WGSL of `name(sums, a, at)`: a product along `terms` matrices of `a`, one after the other by `product`, a name of `multiply`; `loads`
 * is what loads the other operand's for each.
 */
export function chain(
  name: string,
  {
    sums,
    terms,
    product,
    loads,
  }: { sums: string; terms: number; product: string; loads: (i: number) => string },
): string {
  const lines = each(terms).map((i) => `  ${product}(sums, array<Left, 1>(a[${i}]), ${loads(i)});`);
  return `${off}
fn ${name}(sums: ptr<function, ${sums}>, a: array<Left, ${terms}>, at: u32) {
${lines.join("\n")}
}`;
}

/** What writes WGSL of `name(sums, at)`, a line for each of `count` matrices from `first` on of `all` in one array, beside each other in memory as f32. */
/* @__NO_SIDE_EFFECTS__ */
function moving(line: (memory: string, at: string, matrix: string, stride: string) => string) {
  return (
    name: string,
    all: number,
    first: number,
    count: number,
    { memory = numbers, stride }: { memory?: Memory; stride: string },
  ): string => {
    const lines = each(count).map((j) => {
      const at = inElements(`at + ${j}u * MATRIX_N`, memory);
      return `  ${line(memory.array, at, `(*sums)[${first + j}]`, inElements(stride, memory))};`;
    });
    return `${off}
fn ${name}(sums: ptr<function, array<Result, ${all}>>, at: u32) {
${lines.join("\n")}
}`;
  };
}

/** Stores them. */
export const store = moving(
  (memory, at, matrix, stride) => `subgroupMatrixStore<row_major>(${memory}, ${at}, ${matrix}, ${stride})`,
);

/** Loads them again. */
export const restore = moving(
  (memory, at, matrix, stride) =>
    `${matrix} = subgroupMatrixLoad<Result, row_major>(${memory}, ${at}, ${stride})`,
);

/** WGSL of `name(sums, factor)`: all matrices of an array times one number. */
export function scale(name: string, all: number): string {
  const lines = each(all).map(
    (i) => `  (*sums)[${i}] = subgroupMatrixScalarMultiply((*sums)[${i}], factor);`,
  );
  return `${off}
fn ${name}(sums: ptr<function, array<Result, ${all}>>, factor: f32) {
${lines.join("\n")}
}`;
}
