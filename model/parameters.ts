// Parameters by name, laid out in a few flat buffers, so that clearing gradients, their norm and the optimiser are one
// dispatch per buffer. A buffer ends where the device's binding limit is reached. Names follow Hugging Face's BLIP,
// with query, key and value fused into one matrix.
import {
  type Engine,
  normal,
  randomBits,
  type Shape,
  sizeOf,
  type Tensor,
  TensorError,
} from "../engine/index.ts";
import type { Flat } from "../kernels/optimizer/adamw.ts";

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
}

/** Specs of a linear layer; weight is [outputs, inputs]. */
export function linearSpecs(
  name: string,
  outputs: number,
  inputs: number,
  initial: Initial,
): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], initial },
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

/** A tensor may start at a multiple of 256 bytes in a buffer. */
const alignment = 64;

export class Parameters {
  /** Buffers with gradients. */
  readonly flats: Flat[] = [];
  private readonly frozen: Tensor[] = [];
  private readonly tensors = new Map<string, Tensor>();
  private readonly places = new Map<string, { flat: number; offset: number }>();

  /**
   * Allocates all parameters; their values are undefined until `initialize` or `load`.
   * @param trainable which names get gradients
   */
  constructor(
    private readonly engine: Engine,
    readonly specs: readonly ParameterSpec[],
    trainable: (name: string) => boolean = () => true,
  ) {
    const decays = (spec: ParameterSpec) => spec.shape.length > 1;
    const learnt = specs.filter((spec) => trainable(spec.name));
    this.allocate([...learnt.filter(decays), ...learnt.filter((spec) => !decays(spec))], true, decays);
    this.allocate(
      specs.filter((spec) => !trainable(spec.name)),
      false,
      decays,
    );
  }

  /** The parameter's tensor. Throws TensorError for an unknown name. */
  get(name: string): Tensor {
    const tensor = this.tensors.get(name);
    if (!tensor) throw new TensorError(`There is no parameter "${name}".`);
    return tensor;
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
    for (const spec of this.specs) this.engine.write(this.get(spec.name), initialValues(spec, seed));
  }

  /** Writes values by name. Throws TensorError if a name is missing or a shape differs. */
  load(values: ReadonlyMap<string, { shape: Shape; data: ArrayLike<number> }>): void {
    this.requireAll(values);
    for (const { name } of this.specs) this.engine.write(this.get(name), values.get(name)!.data);
  }

  /**
   * Writes values by name, each read when its turn has come, so that no more than one is in memory. Throws TensorError
   * as `load` does, and whatever `read` throws.
   */
  async stream(entries: ReadonlyMap<string, { shape: Shape; read(): Promise<Float32Array> }>): Promise<void> {
    this.requireAll(entries);
    // What was recorded for the buffers goes first: writes then go to the device at once instead of piling up.
    await this.engine.idle();
    for (const { name } of this.specs) this.engine.write(this.get(name), await entries.get(name)!.read());
  }

  /** Reads all values by name. */
  async read(): Promise<Map<string, { shape: Shape; data: Float32Array }>> {
    const values = new Map<string, { shape: Shape; data: Float32Array }>();
    for (const { name, shape } of this.specs) {
      values.set(name, { shape, data: (await this.get(name).read()) as Float32Array });
    }
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
  renewGradients(work: () => void): void {
    const learnt = [...this.tensors.values()].filter(({ grad }) => grad);
    for (const tensor of learnt) tensor.gradIsOld = true;
    work();
    for (const tensor of learnt) {
      if (tensor.gradIsOld) this.engine.clear(tensor.grad!);
      tensor.gradIsOld = false;
    }
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const tensor of this.tensors.values()) {
      tensor.grad?.dispose();
      tensor.dispose();
    }
    for (const flat of this.flats) {
      flat.values.dispose();
      flat.gradient.dispose();
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

  private allocate(
    specs: ParameterSpec[],
    trainable: boolean,
    decays: (spec: ParameterSpec) => boolean,
  ): void {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.engine.device.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize) / 4;
    const aligned = (spec: ParameterSpec) => Math.ceil(sizeOf(spec.shape) / alignment) * alignment;
    for (let from = 0; from < specs.length; ) {
      let size = 0;
      let to = from;
      while (to < specs.length && (to === from || size + aligned(specs[to]!) <= limit))
        size += aligned(specs[to++]!);
      const part = specs.slice(from, to);
      // Padding between parameters stays zero, so that it adds nothing to the gradient's norm.
      const values = this.engine.keep(this.engine.zeros([size]));
      const gradient = trainable ? this.engine.keep(this.engine.zeros([size])) : null;
      if (gradient) {
        const decayEnd = part.filter(decays).reduce((sum, spec) => sum + aligned(spec), 0);
        this.flats.push({ values, gradient, decayEnd });
      } else this.frozen.push(values);
      let offset = 0;
      for (const spec of part) {
        const tensor = this.engine.keep(this.engine.slice(values, offset, spec.shape));
        tensor.requiresGrad = trainable;
        if (gradient) tensor.grad = this.engine.keep(this.engine.slice(gradient, offset, spec.shape));
        this.tensors.set(spec.name, tensor);
        if (gradient) this.places.set(spec.name, { flat: this.flats.length - 1, offset });
        offset += aligned(spec);
      }
      from = to;
    }
  }
}

/** Fresh values of a parameter; they depend on the seed and its name only. */
export function initialValues(spec: ParameterSpec, seed: number): Float32Array<ArrayBuffer> {
  const size = sizeOf(spec.shape);
  const { initial } = spec;
  if ("constant" in initial) return new Float32Array(size).fill(initial.constant);
  const key = { key: seed, stream: hash(initial.as ?? spec.name) };
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
