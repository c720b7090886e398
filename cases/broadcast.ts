// Shapes that are broadcast to one another, as NumPy does it: where the references of functions of several tensors find their
// elements, and how such shapes are named.

/** The shape of the result, and which elements of the operands belong to each of its elements. */
export function places(...shapes: number[][]): {
  shape: number[];
  size: number;
  at(index: number): number[];
} {
  const rank = Math.max(...shapes.map(({ length }) => length));
  const padded = shapes.map((shape) => [...new Array<number>(rank - shape.length).fill(1), ...shape]);
  const out = Array.from({ length: rank }, (_, d) => {
    const extents = padded.map((shape) => shape[d]!);
    return extents.find((extent) => extent !== 1) ?? 1;
  });
  const locate = (shape: number[], index: number) => {
    let rest = index;
    let stride = 1;
    let at = 0;
    for (let d = rank - 1; d >= 0; d--) {
      const coordinate = rest % out[d]!;
      rest = Math.floor(rest / out[d]!);
      if (shape[d] !== 1) at += coordinate * stride;
      stride *= shape[d]!;
    }
    return at;
  };
  return {
    shape: out,
    size: out.reduce((product, extent) => product * extent, 1),
    at: (index) => padded.map((shape) => locate(shape, index)),
  };
}

export const named = (...shapes: number[][]) => shapes.map((shape) => shape.join("x") || "scalar").join();
