// What an adapter offers casement, in words: for the command line's doctor and for a page.

const BYTES = ["bytes", "KiB", "MiB", "GiB"];

/** The limits that decide which kernels and batch sizes fit, with their units. */
const LIMITS: [name: string, unit: string][] = [
  ["maxBufferSize", "bytes"],
  ["maxStorageBufferBindingSize", "bytes"],
  ["maxStorageBuffersPerShaderStage", "buffers"],
  ["maxComputeWorkgroupStorageSize", "bytes"],
  ["maxComputeInvocationsPerWorkgroup", "invocations"],
  ["maxComputeWorkgroupsPerDimension", "workgroups"],
  ["maxImmediateSize", "bytes"],
];

interface Feature {
  name: string;
  /** What casement gains from the feature. */
  gain: string;
  /** What casement does without it. */
  fallback: string;
}

const FEATURES: Feature[] = [
  {
    name: "shader-f16",
    gain: "half-precision kernels: half the memory traffic",
    fallback: "everything is computed and kept in f32, and a precision of f16 is refused",
  },
  {
    name: "subgroups",
    gain: "reductions and broadcasts between lanes without shared memory",
    fallback: "kernels go through workgroup memory and barriers",
  },
  {
    name: "subgroup-size-control",
    gain: "kernels can ask for one subgroup size",
    fallback: "kernels that count on a size are used only where the smallest size equals the largest",
  },
  {
    name: "timestamp-query",
    gain: "`profile` reads the time of each dispatch from the GPU",
    fallback: "`profile` runs each kernel's dispatches by themselves and takes the time by the wall clock",
  },
  {
    name: "chromium-experimental-subgroup-matrix",
    gain: "matrix products and attention in f16 on tensor cores",
    fallback: "they use ordinary arithmetic",
  },
];

/** What is read of an adapter; lists and numbers, as some come from another process. */
export interface Offers {
  features: readonly string[];
  limits: Readonly<Record<string, number>>;
  subgroupMinSize: number;
  subgroupMaxSize: number;
  subgroupMatrixConfigs: readonly {
    componentType: string;
    resultComponentType: string;
    M: number;
    N: number;
    K: number;
  }[];
}

/** What a page reads of its adapter. */
export function offersOf({ features, limits, info }: GPUAdapter): Offers {
  return {
    features: [...features],
    limits: limits as unknown as Offers["limits"],
    ...{ subgroupMinSize: info.subgroupMinSize, subgroupMaxSize: info.subgroupMaxSize },
    subgroupMatrixConfigs:
      (info as { subgroupMatrixConfigs?: Offers["subgroupMatrixConfigs"] }).subgroupMatrixConfigs ?? [],
  };
}

/** A feature or a limit, and what to say of it. */
export interface Offer {
  name: string;
  words: string;
}

/** Every feature that counts: what casement gains from it, or does without. */
export function featuresOf(adapter: Offers): (Offer & { there: boolean })[] {
  return FEATURES.map(({ name, gain, fallback }) => {
    const there = adapter.features.includes(name);
    return { name, there, words: there ? `yes${detail(adapter, name)}: ${gain}` : `no: ${fallback}` };
  });
}

/** The limits that count, of those that the adapter tells. */
export function limitsOf({ limits }: Offers): Offer[] {
  return LIMITS.flatMap(([name, unit]) =>
    limits[name] === undefined ? [] : [{ name, words: withUnit(limits[name], unit) }],
  );
}

function withUnit(value: number, unit: string): string {
  if (unit !== "bytes") return `${value} ${unit}`;
  // A limit of 4 GiB is often given as one byte less.
  const rounded = value % 1024 === 1023 ? value + 1 : value;
  let scale = 0;
  while (scale < BYTES.length - 1 && rounded >= 1024 ** (scale + 1)) scale++;
  return `${Number((rounded / 1024 ** scale).toFixed(1))} ${BYTES[scale]}`;
}

/** What an adapter adds to a feature's bare presence: subgroup sizes, matrix shapes. */
function detail(adapter: Offers, feature: string): string {
  if (feature === "subgroups") {
    const { subgroupMinSize: min, subgroupMaxSize: max } = adapter;
    return min === max ? `, size ${min}` : `, sizes ${min} to ${max}`;
  }
  if (feature !== "chromium-experimental-subgroup-matrix") return "";
  const shapes = adapter.subgroupMatrixConfigs.map(
    (c) => `${c.componentType} to ${c.resultComponentType} ${c.M}x${c.N}x${c.K}`,
  );
  return `, shapes (MxNxK): ${[...new Set(shapes)].join(", ")}`;
}
