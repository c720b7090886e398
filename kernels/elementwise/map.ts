// One kernel for each function of an element, made of one WGSL template and an expression: an operation is a line in a
// table (unary-table.ts), and what only reads and writes elements is said in one place.
import { defineKernel, type Kernel, type ParamTypes, type Scalar, type Tensor } from "../../engine/index.ts";
import eachSource from "../lib/each.wgsl?raw";
import { blocks, vectors } from "../lib/items.ts";
import { alsoReads, perElement } from "../lib/work.ts";
import source from "./map.wgsl?raw";

/** How tensors are stored, four elements at a time: in the dtype of the run, or as what is named. Floats are read as f32. */
type Quad = "Vec" | "vec4f" | "vec4u" | "vec4i";
const wide = (quad: Quad) => (quad === "Vec" ? "vec4f" : quad);

interface MapSpec<P extends ParamTypes> {
  name: string;
  /** The tensors that are read, by their names in `value`, in the order in which the result may take their place. */
  operands: readonly string[];
  /**
   * WGSL of four elements, a vec4f or integers, from those of the operands, from `params` and from `i`, the index of this quad. May
   * also read `result`, which the kernel then updates.
   */
  value: string;
  params?: P;
  includes?: readonly string[];
  /** Floating-point operations for an element. */
  flops: number;
  from?: Quad;
  to?: Quad;
  /** The result is a tensor that was there before, perhaps a part of a larger one. */
  partial?: boolean;
}

/** Quads and elements of the result. */
type Sizes = Readonly<Record<"count" | "size", "u32">>;
export type MapKernel<P extends ParamTypes> = Kernel<P & Sizes>;

/** A kernel that computes `result` element by element; run it with `runMap`. */
/* @__NO_SIDE_EFFECTS__ */
export function defineMap<const P extends ParamTypes>(spec: MapSpec<P>): MapKernel<P> {
  const { name, operands, value, includes = [], flops, from = "Vec", to = "Vec", partial = false } = spec;
  const updates = /\bresult\b/.test(value);
  const reads = (updates ? [...operands, "result"] : operands).map((x) => {
    return `  let ${x} = ${wide(x === "result" ? to : from)}(${x}[i]);`;
  });
  return defineKernel({
    name,
    source: `${source}alias Wide = ${wide(from)};
alias Out = ${to};
const PARTIAL = ${partial};

fn valueAt(i: u32) -> ${wide(to)} {
${reads.join("\n")}
  return ${value};
}`,
    includes: [eachSource, ...includes],
    bindings: [...operands.map((x) => `${x}: ${from}` as const), `+result: ${to}`],
    params: { count: "u32", size: "u32", ...spec.params } as P & Sizes,
    inPlace: partial ? [] : operands,
    flops: perElement("result", flops),
    ...(updates && { bytes: alsoReads("result") }),
  });
}

/** Records one run; the operands are of the result's size. `dtype` is what `Vec` holds: the result's, unless told. */
export function runMap<P extends ParamTypes>(
  kernel: MapKernel<P>,
  operands: readonly Tensor[],
  result: Tensor,
  params: { [K in keyof P]: number | Scalar },
  dtype = result.dtype,
): Tensor {
  const count = vectors(result);
  result.engine.run<ParamTypes>(kernel, {
    bind: [...operands, result],
    params: { count, size: result.size, ...params },
    grid: blocks(count),
    dtype,
  });
  return result;
}
