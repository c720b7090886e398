// How kernels count their work (engine/gpu/work.ts says what counts): most do a few operations for each element of one
// binding, and some read what they write, or only a part of what is bound.
import { boundBytes, type Launch, sizeOf } from "../../engine/index.ts";

/** Any kernel's launch, as far as its tensors go. */
type Tensors = Pick<Launch, "bindings" | "constants">;

function binding({ bindings }: Tensors, name: string): Launch["bindings"][number] {
  return bindings.find((bound) => bound.name === name)!;
}

/** Elements of the tensor that is bound as `name`. */
export function elements(launch: Tensors, name: string): number {
  return sizeOf(binding(launch, name).shape);
}

/** So many operations for each element of a binding; of a constant that is switched on, more. */
/* @__NO_SIDE_EFFECTS__ */
export function perElement(name: string, operations: number, more: Record<string, number> = {}) {
  return (launch: Tensors): number => {
    let each = operations;
    for (const constant in more) if (launch.constants[constant]) each += more[constant]!;
    return each * elements(launch, name);
  };
}

/** Bytes where these bindings are read before they are written. */
/* @__NO_SIDE_EFFECTS__ */
export function alsoReads(...names: string[]) {
  return (launch: Tensors): number =>
    names.reduce((sum, name) => sum + binding(launch, name).bytes, boundBytes(launch));
}

/** Bytes where only so many elements of the tensor bound as `output` are written. */
export function writesPart<L extends Tensors>(output: string, written: (launch: L) => number) {
  return (launch: L): number => {
    const { bytes, shape } = binding(launch, output);
    return boundBytes(launch) - bytes * (1 - written(launch) / sizeOf(shape));
  };
}

/** Bytes where no more of the other bindings is read than `output` has: copies of a part. */
export function partOf(output: string) {
  return (launch: Tensors): number => {
    const { bytes } = binding(launch, output);
    return Math.min(boundBytes(launch), 2 * bytes);
  };
}
