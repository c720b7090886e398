// Functions compiled by the shapes of their inputs, as jax.jit has it: taken down when such shapes first come, replayed from
// then on, and let go when others have been used since.
import { bytesPerElement, type DType } from "../base/dtype.ts";
import { TensorError } from "../base/errors.ts";
import type { Shape } from "../base/shape.ts";
import { mapTensors } from "../tensor/scopes.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Program } from "./program.ts";

/** What goes into a compiled function: a tensor, or values on the host with their shape; f32 unless told. */
export type JitInput =
  | Tensor
  | { readonly values: ArrayLike<number>; readonly shape: Shape; readonly dtype?: DType };

export interface JitOptions {
  /** Programs that are kept, one for each combination of shapes and dtypes; 8 unless told. */
  most?: number;
}

/** A compiled function. */
export interface Jit<K extends string, T> {
  /**
   * Runs the function on these inputs as they are now, in order with the recorded work: a caller that does not wait may write
   * over them or dispose of them. What it returns is new, and the caller's: the next call leaves it alone, no scope disposes it.
   * Throws TensorError for inputs that are none, and as `Engine.capture` does.
   */
  (inputs: Readonly<Record<K, JitInput>>): Promise<T>;
  /**
   * The program for inputs of these shapes, whose own outputs the next run writes over; it stays until other shapes take
   * its place. For those who count every copy.
   */
  program(inputs: Readonly<Record<K, JitInput>>): Promise<Program<T>>;
  /** The program that was used last; null before the first call. */
  readonly latest: Program<T> | null;
  /** Gives the memory of all programs back. Later calls throw TensorError. */
  dispose(): void;
}

/** What compiled functions need of their engine. */
interface Host {
  empty(shape: Shape, dtype: DType): Tensor;
  copy(from: Tensor, to: Tensor): void;
  keep(tensor: Tensor): Tensor;
  capture<T>(step: () => T, inputs: Readonly<Record<string, Tensor>>): Promise<Program<T>>;
}

interface Entry<T> {
  program: Promise<Program<T>>;
  /** The same once it is there. */
  made: Program<T> | null;
  /** The inputs that the program reads, by name. */
  inputs: Record<string, Tensor>;
  /** Calls that wait for the program or are about to run it: it is not let go under them. */
  users: number;
}

/** Compiles a function; see `Engine.jit`. */
export function compile<K extends string, T>(
  engine: Host,
  fn: (inputs: Record<K, Tensor>) => T,
  { most = 8 }: JitOptions,
): Jit<K, T> {
  if (typeof fn !== "function") throw new TensorError(`jit: ${fn} is no function.`);
  if (!Number.isInteger(most) || most < 1) throw new TensorError(`jit: ${most} programs can't be kept.`);
  /** By shapes; the one used last is the last. */
  const entries = new Map<string, Entry<T>>();
  let latest: Program<T> | null = null;
  let disposed = false;

  const letGo = (key: string, entry: Entry<T>) => {
    entries.delete(key);
    const end = () => {
      if (latest !== null && latest === entry.made) latest = null;
      entry.made?.dispose();
      for (const tensor of Object.values(entry.inputs)) tensor.dispose();
    };
    if (entry.made) end();
    else entry.program.then(end, end);
  };

  const make = (given: Readonly<Record<K, JitInput>>): Entry<T> => {
    const inputs: Record<string, Tensor> = {};
    for (const [name, input] of Object.entries<JitInput>(given)) {
      const { shape, dtype = "f32" } = input;
      inputs[name] = engine.empty(shape, dtype);
      engine.keep(inputs[name]);
    }
    const program = engine.capture(() => fn(inputs as Record<K, Tensor>), inputs);
    const entry: Entry<T> = { program, made: null, inputs, users: 0 };
    const note = (made: Program<T>) => {
      entry.made = made;
    };
    // Whoever calls awaits it; until then a failure must not count as unhandled.
    program.then(note, () => {});
    return entry;
  };

  /** Calls `work` with the program for these inputs: at once where it is there, else after `wait`. */
  const withEntry = async <R>(
    given: Readonly<Record<K, JitInput>>,
    work: (program: Program<T>, entry: Entry<T>) => R,
    wait = () => {},
  ): Promise<R> => {
    const key = keyOf(given);
    if (disposed) throw new TensorError("jit: this function was disposed.");
    const entry = entries.get(key) ?? make(given);
    entries.delete(key);
    entries.set(key, entry);
    entry.users++;
    for (const [other, { users }] of entries) {
      if (entries.size <= most) break;
      if (users === 0) letGo(other, entries.get(other)!);
    }
    try {
      if (!entry.made) wait();
      const program = entry.made ?? (await entry.program);
      if (disposed) throw new TensorError("jit: this function was disposed.");
      latest = program;
      return work(program, entry);
    } catch (error) {
      // What could not be taken down is tried anew next time.
      if (entries.get(key) === entry && (await failed(entry.program))) letGo(key, entry);
      throw error;
    } finally {
      entry.users--;
    }
  };

  const call = async (given: Readonly<Record<K, JitInput>>) => {
    /** The inputs as they were when the call was made, where it had to wait for its program. */
    const held: Record<string, JitInput> = {};
    const hold = () => {
      for (const [name, input] of Object.entries<JitInput>(given)) {
        if (input instanceof Tensor) held[name] = copyOf(engine, input);
        else held[name] = { ...input, values: Float64Array.from(input.values) };
      }
    };
    try {
      return await withEntry(
        given,
        (program, { inputs }) => {
          const values: Record<string, { values: ArrayLike<number>; shape: Shape }> = {};
          for (const [name, input] of Object.entries<JitInput>({ ...given, ...held })) {
            if (input instanceof Tensor) engine.copy(input, inputs[name]!);
            else values[name] = { values: input.values, shape: input.shape };
          }
          program.run(values);
          return mapTensors(program.outputs, (output) => copyOf(engine, output));
        },
        hold,
      );
    } finally {
      for (const input of Object.values(held)) if (input instanceof Tensor) input.dispose();
    }
  };

  return Object.defineProperties(
    Object.assign(call, {
      program: (given: Readonly<Record<K, JitInput>>) => withEntry(given, (program) => program),
      dispose() {
        disposed = true;
        for (const [key, entry] of entries) letGo(key, entry);
      },
    }),
    { latest: { get: () => latest } },
  ) as Jit<K, T>;
}

/** A copy that no scope disposes. */
function copyOf(engine: Host, tensor: Tensor): Tensor {
  const copy = engine.keep(engine.empty(tensor.shape, tensor.dtype));
  engine.copy(tensor, copy);
  return copy;
}

const failed = (work: Promise<unknown>) =>
  work.then(
    () => false,
    () => true,
  );

/** Names shapes and dtypes of inputs. Throws TensorError for what is no input. */
function keyOf(inputs: Readonly<Record<string, JitInput>>): string {
  return Object.entries(inputs)
    .map(([name, input]) => {
      const { shape, dtype = "f32" } = input ?? {};
      if (
        !Array.isArray(shape) ||
        !Object.hasOwn(bytesPerElement, dtype) ||
        !(input instanceof Tensor || "values" in input)
      )
        throw new TensorError(`jit: the input "${name}" is no tensor, and no values with a shape.`);
      return `${name}: ${dtype} [${shape}]`;
    })
    .sort()
    .join(", ");
}
