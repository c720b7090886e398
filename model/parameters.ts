// Parameters by name, laid out in a few flat buffers, so that clearing gradients, their norm and the optimiser are one
// dispatch per buffer. A buffer ends where the device's binding limit is reached. Names follow Hugging Face's BLIP,
// with query, key and value fused into one matrix.
//
// In mixed precision (Micikevicius et al., arXiv 1710.03740) the network computes with f16 copies of what learns, while
// masters, gradients and checkpoints are f32; what does not learn is there in f16 only. For inference the weights of linear
// layers may be packed in whole numbers of 8 or 4 bits.
import {
  bytesPerElement,
  type Engine,
  normal,
  randomBits,
  type Shape,
  seedKey,
  sizeOf,
  type Tensor,
  TensorError,
} from "../engine/index.ts";
import { castInto } from "../kernels/elementwise/cast.ts";
import type { Layer } from "../kernels/matmul/matmul.ts";
import {
  type Bits,
  blockLength,
  canPack,
  type PackedWeight,
  packNumbers,
  unpackNumbers,
} from "../kernels/matmul/packed.ts";
import type { Flat } from "../kernels/optimizer/optimizer.ts";
import { notFinite } from "./finite.ts";

/**
 * Fresh values: a constant, or normally distributed with this standard deviation, cut at two of them. From row
 * `identityFrom` on, the identity is added to a fraction of the latter. Equal shapes with the same `as` start equal.
 */
export type Initial = { constant: number } | { normal: number; identityFrom?: number; as?: string };

/** How much of the random part stays in rows that start as the identity. */
const besideIdentity = 0.3;

export interface ParameterSpec {
  name: string;
  shape: Shape;
  initial: Initial;
  /** Computed with in f32 whatever the precision. */
  exact?: boolean;
  /** A matrix that linear layers alone read, and whole, so that it may be packed. */
  linear?: boolean;
}

/** How parameters learn that don't as the optimiser has it for all. */
export type Learning = Pick<Flat, "rate" | "weightDecay">;

/** What a network computes in. */
export type Precision = "f32" | "f16";

/** How a network is run that only answers: computed in this, or in f32 with the weights of its linear layers packed. */
export type Inference = Precision | "int8" | "int4";
export const inferences: readonly Inference[] = ["f32", "f16", "int8", "int4"];

/** What `Case` is told of it. */
export function inferenceOptions(inference: Inference): { precision: Precision; bits: Bits | null } {
  if (inference === "int8") return { precision: "f32", bits: 8 };
  if (inference === "int4") return { precision: "f32", bits: 4 };
  return { precision: inference, bits: null };
}

/** Specs of a linear layer; weight is [outputs, inputs]. */
export function linearSpecs(
  name: string,
  outputs: number,
  inputs: number,
  initial: Initial,
): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], initial, linear: true },
    { name: `${name}.bias`, shape: [outputs], initial: { constant: 0 } },
  ];
}

/** Specs of a layer normalisation. */
export function normSpecs(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], initial: { constant: 1 } },
    { name: `${name}.bias`, shape: [width], initial: { constant: 0 } },
  ];
}

/** Elements between places where a tensor may start in a buffer: 256 bytes of the smallest of its types. */
const alignmentOf = (precision: Precision) => 256 / bytesPerElement[precision];

const largestHalf = (2 - 2 ** -10) * 2 ** 15;

/**
 * A model's parameters by name: those that learn in one flat f32 buffer per group with its gradients, those that don't by
 * themselves, and in mixed precision the f16 copies that the network computes with.
 */
export class Parameters {
  /** Buffers with gradients. */
  readonly flats: Flat[] = [];
  private readonly frozen: Tensor[] = [];
  /** What the network computes with. */
  private readonly tensors = new Map<string, Tensor>();
  /** Where the values are kept, the same tensors but for what has an f16 copy. */
  private readonly masters = new Map<string, Tensor>();
  private readonly places = new Map<string, { flat: number; offset: number }>();
  /** Those that are packed. */
  private readonly packed = new Map<string, PackedWeight>();

  /**
   * Allocates all parameters; their values are undefined until `initialize` or `load`.
   * @param trainable which names get gradients, or how they learn
   * @param precision f16: the network computes with f16 copies of what learns, and what does not learn is f16 itself
   * @param bits packs the weights of linear layers that do not learn and have the sizes for it
   * @throws DeviceError for f16 where the adapter lacks it
   */
  constructor(
    private readonly engine: Engine,
    readonly specs: readonly ParameterSpec[],
    trainable: (name: string) => Learning | boolean = () => true,
    readonly precision: Precision = "f32",
    readonly bits: Bits | null = null,
  ) {
    const groups = new Map<string, { learning: Learning; learnt: ParameterSpec[] }>();
    for (const spec of specs) {
      const learning = trainable(spec.name);
      if (learning === false) continue;
      const { rate, weightDecay } = learning === true ? {} : learning;
      const key = `${rate ?? 1} ${weightDecay}`;
      const group = groups.get(key) ?? { learning: { rate, weightDecay }, learnt: [] };
      groups.set(key, group);
      group.learnt.push(spec);
    }
    for (const { learning, learnt } of groups.values())
      this.allocateLearnt([...learnt.filter(decays), ...learnt.filter((spec) => !decays(spec))], learning);
    const fixed = specs.filter((spec) => !trainable(spec.name));
    const isPacked = ({ linear, shape }: ParameterSpec) => bits !== null && linear === true && canPack(shape);
    for (const spec of fixed.filter(isPacked)) this.allocatePacked(spec, bits!);
    const others = fixed.filter((spec) => !isPacked(spec));
    this.allocateFrozen(
      others.filter(({ exact }) => !exact),
      precision,
    );
    this.allocateFrozen(
      others.filter(({ exact }) => exact),
      "f32",
    );
  }

  /** The parameter as the network computes with it, f32 or f16. Throws TensorError for an unknown name, or a packed one. */
  get(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw new TensorError(
      this.packed.has(name)
        ? `The parameter "${name}" is packed; only linear layers read it.`
        : `There is no parameter "${name}".`,
    );
  }

  /** Weight and bias of a linear layer. Throws TensorError for an unknown name. */
  layer(name: string): Layer {
    const weight = `${name}.weight`;
    return { weight: this.packed.get(weight) ?? this.get(weight), bias: this.get(`${name}.bias`) };
  }

  /** Bytes of all that the network computes with. */
  get bytes(): number {
    const packed = [...this.packed.values()].flatMap(({ words, scales }) => [words, scales]);
    return [...this.tensors.values(), ...packed].reduce(
      (sum, { size, dtype }) => sum + size * bytesPerElement[dtype],
      0,
    );
  }

  /** In which of `flats` a parameter lies, and from which element on; null for a frozen one. */
  place(name: string): { flat: number; offset: number } | null {
    return this.places.get(name) ?? null;
  }

  /** Number of elements of all parameters. */
  get size(): number {
    return this.specs.reduce((sum, spec) => sum + sizeOf(spec.shape), 0);
  }

  /** Writes fresh values; each depends on the seed and the parameter's name only. */
  initialize(seed: number): void {
    for (const spec of this.specs) this.write(spec.name, initialValues(spec, seed));
    this.copyMasters();
  }

  /** Writes values by name. Throws TensorError if a name is missing, a shape differs, a value is not finite, or f16 can't hold it. */
  load(values: ReadonlyMap<string, { shape: Shape; data: ArrayLike<number> }>): void {
    this.requireAll(values);
    for (const { name } of this.specs) this.write(name, values.get(name)!.data);
    this.copyMasters();
  }

  /**
   * Writes values by name, each read when its turn has come, so that no more than one is in memory. Throws TensorError
   * as `load` does, and whatever `read` throws.
   */
  async stream(entries: ReadonlyMap<string, { shape: Shape; read(): Promise<Float32Array> }>): Promise<void> {
    this.requireAll(entries);
    // What was recorded for the buffers goes first: writes then go to the device at once instead of piling up.
    await this.engine.idle();
    for (const { name } of this.specs) this.write(name, await entries.get(name)!.read());
    this.copyMasters();
  }

  /**
   * All values by name, each read when its turn has come: f32, or f16 widened for what does not learn in f16, or what packed
   * numbers stand for.
   */
  entries(): {
    name: string;
    shape: Shape;
    /** The values, row by row. */
    read(): Promise<Float32Array>;
  }[] {
    return this.specs.map(({ name, shape }) => ({
      ...{ name, shape },
      read: async () => {
        const packed = this.packed.get(name);
        if (!packed) return this.master(name).read() as Promise<Float32Array>;
        const [words, scales] = await Promise.all([packed.words.read(), packed.scales.read()]);
        return unpackNumbers(words, scales, packed.bits);
      },
    }));
  }

  /** Reads all values, as `entries` has them. */
  async read(): Promise<Map<string, { shape: Shape; data: Float32Array }>> {
    const values = new Map<string, { shape: Shape; data: Float32Array }>();
    for (const { name, shape, read } of this.entries()) values.set(name, { shape, data: await read() });
    return values;
  }

  /** Sets all gradients to zero. */
  clearGradients(): void {
    for (const flat of this.flats) this.engine.clear(flat.gradient);
  }

  /**
   * Runs `work`, whose backward passes make gradients anew: the first that comes to a parameter overwrites the old one,
   * so that nothing is cleared and read before. A parameter that none comes to gets zeros.
   */
  renewGradients<T>(work: () => T): T {
    const learnt = [...this.tensors.values()].filter(({ grad }) => grad);
    for (const tensor of learnt) tensor.gradIsOld = true;
    const result = work();
    for (const tensor of learnt) {
      if (tensor.gradIsOld) this.engine.clear(tensor.grad!);
      tensor.gradIsOld = false;
    }
    return result;
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const tensor of this.tensors.values()) {
      tensor.grad?.dispose();
      tensor.dispose();
    }
    for (const tensor of this.masters.values()) tensor.dispose();
    for (const { words, scales } of this.packed.values()) {
      words.dispose();
      scales.dispose();
    }
    for (const flat of this.flats) {
      flat.values.dispose();
      flat.gradient.dispose();
      flat.copy?.dispose();
    }
    for (const buffer of this.frozen) buffer.dispose();
  }

  private requireAll(entries: ReadonlyMap<string, { shape: Shape }>): void {
    for (const { name, shape } of this.specs) {
      const entry = entries.get(name);
      if (!entry) throw new TensorError(`The checkpoint lacks the parameter "${name}".`);
      if (`${entry.shape}` !== `${shape}`) {
        throw new TensorError(`"${name}" is [${entry.shape}] in the checkpoint, [${shape}] in the model.`);
      }
    }
  }

  private master(name: string): Tensor {
    return this.masters.get(name)!;
  }

  private write(name: string, values: ArrayLike<number>): void {
    const packed = this.packed.get(name);
    const fault = notFinite(values, packed?.shape ?? this.master(name).shape);
    if (fault) throw new TensorError(`The parameter "${name}" is ${fault}.`);
    if (packed) {
      const { words, scales } = packNumbers(values, packed.bits);
      this.engine.write(packed.words, words);
      this.engine.write(packed.scales, scales);
      return;
    }
    const tensor = this.master(name);
    if (tensor.dtype === "f16") {
      for (let i = 0; i < values.length; i++) {
        if (Math.abs(values[i]!) > largestHalf)
          throw new TensorError(`"${name}" holds ${values[i]}, which is too large for f16; choose f32.`);
      }
    }
    this.engine.write(tensor, values);
  }

  private copyMasters(): void {
    for (const { values, copy } of this.flats) if (copy) castInto(values, copy);
  }

  private allocateLearnt(specs: readonly ParameterSpec[], learning: Learning): void {
    for (const { places, size } of this.split(specs, "f32")) {
      // Padding between parameters stays zero, so that it adds nothing to the gradient's norm.
      const values = this.zeros(size, "f32");
      const gradient = this.zeros(size, "f32");
      const copy = this.precision === "f16" ? this.zeros(size, "f16") : undefined;
      const decaying = places.findIndex(({ spec }) => !decays(spec));
      const decayEnd = decaying < 0 ? size : places[decaying]!.offset;
      for (const { spec, offset } of places) {
        const { name, shape, exact } = spec;
        const part = (whole: Tensor) => this.engine.keep(this.engine.slice(whole, offset, shape));
        const master = part(values);
        const tensor = copy && !exact ? part(copy) : master;
        tensor.requiresGrad = true;
        tensor.grad = part(gradient);
        this.masters.set(name, master);
        this.tensors.set(name, tensor);
        this.places.set(name, { flat: this.flats.length, offset });
      }
      this.flats.push({ values, gradient, copy, decayEnd, ...learning });
    }
  }

  private allocatePacked({ name, shape }: ParameterSpec, bits: Bits): void {
    const size = sizeOf(shape);
    const zeros = (length: number, dtype: "u32" | "f32") =>
      this.engine.keep(this.engine.zeros([length], dtype));
    this.packed.set(name, {
      ...{ bits, shape: shape as PackedWeight["shape"] },
      words: zeros((size * bits) / 32, "u32"),
      scales: zeros(size / blockLength, "f32"),
    });
  }

  private allocateFrozen(specs: readonly ParameterSpec[], dtype: Precision): void {
    for (const { places, size } of this.split(specs, dtype)) {
      const values = this.zeros(size, dtype);
      this.frozen.push(values);
      for (const { spec, offset } of places) {
        const tensor = this.engine.keep(this.engine.slice(values, offset, spec.shape));
        this.masters.set(spec.name, tensor);
        this.tensors.set(spec.name, tensor);
      }
    }
  }

  /** Lays parameters of a type out in buffers that the device can bind; offsets and sizes in elements. */
  private split(specs: readonly ParameterSpec[], dtype: Precision) {
    const limit = this.engine.largestStorage / bytesPerElement[dtype];
    const alignment = alignmentOf(this.precision);
    const buffers: { places: { spec: ParameterSpec; offset: number }[]; size: number }[] = [];
    for (const spec of specs) {
      const size = Math.ceil(sizeOf(spec.shape) / alignment) * alignment;
      let buffer = buffers.at(-1);
      if (!buffer || buffer.size + size > limit) {
        buffer = { places: [], size: 0 };
        buffers.push(buffer);
      }
      buffer.places.push({ spec, offset: buffer.size });
      buffer.size += size;
    }
    return buffers;
  }

  private zeros(size: number, dtype: Precision): Tensor {
    return this.engine.keep(this.engine.zeros([size], dtype));
  }
}

/** Whether a parameter gets weight decay: matrices and tables do. */
function decays({ shape }: ParameterSpec): boolean {
  return shape.length > 1;
}

/** Fresh values of a parameter; they depend on the seed, a whole number below 2^53, and its name only. */
export function initialValues(spec: ParameterSpec, seed: number): Float32Array<ArrayBuffer> {
  const size = sizeOf(spec.shape);
  const { initial } = spec;
  if ("constant" in initial) return new Float32Array(size).fill(initial.constant);
  const key = { key: seedKey(seed), stream: hash(initial.as ?? spec.name) };
  const columns = spec.shape.at(-1)!;
  const identityFrom = initial.identityFrom ?? Number.POSITIVE_INFINITY;
  return Float32Array.from({ length: size }, (_, i) => {
    const value = normal(key, i);
    // Cut at two standard deviations, as truncated normal initialisation does, by folding back.
    const random = initial.normal * (Math.abs(value) <= 2 ? value : value % 2);
    const row = Math.floor(i / columns) - identityFrom;
    if (row < 0) return random;
    return besideIdentity * random + (row === i % columns ? 1 : 0);
  });
}

/** A stream number for a name. */
function hash(name: string): number {
  let value = 0;
  for (const character of name) value = randomBits({ key: value, stream: 1 }, character.codePointAt(0)!);
  return value;
}
