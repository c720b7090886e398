// Writes the words of the vocabulary of tiles that go by a number of units, each unit by its name: compilers keep matrices in
// registers only where an index is a constant. tiles.wgsl has the rest.

const off = "@diagnostic(off, chromium.subgroup_matrix_uniformity)";
const each = (count: number) => Array.from({ length: count }, (_, i) => i);

/** The memory of a workgroup as elements of a type. */
const view = (type: "f16" | "f32") =>
  `bufferView<array<${type}, ${type === "f16" ? "HALVES" : "WORDS"}>>(&memory, 0u)`;

/**
 * WGSL of `name(at, line)`: `count` matrices of an operand beside each other. `place` says at which element unit i is, in terms of
 * the arguments; `columns` is a constant, whether what lies together is a column, `stride` the elements from one line to the next.
 */
export function load(
  name: string,
  side: "Left" | "Right",
  count: number,
  place: (i: number) => string,
  { from = view("f16"), columns, stride }: { from?: string; columns: string; stride: string },
): string {
  const matrices = each(count).map(
    (i) => `    subgroupMatrixLoad<${side}>(${from}, ${place(i)}, ${columns}, ${stride}),`,
  );
  return `${off}
fn ${name}(at: u32, line: u32) -> array<${side}, ${count}> {
  return array<${side}, ${count}>(
${matrices.join("\n")}
  );
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

/** WGSL of `name(sums, at)`: matrices of one row of units, side by side, as f32 from number `at` of the memory on. */
export function store(name: string, all: number, first: number, count: number, stride: string): string {
  const lines = each(count).map(
    (j) =>
      `  subgroupMatrixStore(${view("f32")}, at + ${j}u * MATRIX_N, (*sums)[${first + j}], false, ${stride});`,
  );
  return `${off}
fn ${name}(sums: ptr<function, array<Result, ${all}>>, at: u32) {
${lines.join("\n")}
}`;
}
