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

/** Where results lie as f32: numbers from `at` on in an array, by lines. */
interface Numbers {
  /** A pointer to the array; a workgroup's memory unless told. */
  array?: string;
  stride: string;
}

/** WGSL of `name(sums, at)`: of `all` matrices in one array, `count` from `first` on are stored side by side. */
export function store(
  name: string,
  all: number,
  first: number,
  count: number,
  { array = view("f32"), stride }: Numbers,
): string {
  const lines = each(count).map(
    (j) => `  subgroupMatrixStore(${array}, at + ${j}u * MATRIX_N, (*sums)[${first + j}], false, ${stride});`,
  );
  return `${off}
fn ${name}(sums: ptr<function, array<Result, ${all}>>, at: u32) {
${lines.join("\n")}
}`;
}

/** WGSL of `name(sums, at)`: the way back. */
export function restore(
  name: string,
  all: number,
  first: number,
  count: number,
  { array = view("f32"), stride }: Numbers,
): string {
  const lines = each(count).map(
    (j) =>
      `  (*sums)[${first + j}] = subgroupMatrixLoad<Result>(${array}, at + ${j}u * MATRIX_N, false, ${stride});`,
  );
  return `${off}
fn ${name}(sums: ptr<function, array<Result, ${all}>>, at: u32) {
${lines.join("\n")}
}`;
}

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
