// The host's side of division.wgsl: of each number that a kernel divides indices by, the parameters, their values, and a
// function of the kernel's.
import divisionSource from "./division.wgsl?raw";

/** The parameters of `divisors`: the number itself, and what it is divided by means of. */
type Divisors<N extends string> = Readonly<Record<N | `${N}Factor` | `${N}Shift`, "u32">>;

/** Types of the parameters of a kernel that divides by `names`. */
/* @__NO_SIDE_EFFECTS__ */
export function divisorTypes<const N extends string>(...names: readonly N[]): Divisors<N> {
  return Object.fromEntries(
    names.flatMap((name) => [name, `${name}Factor`, `${name}Shift`]).map((name) => [name, "u32"]),
  ) as Divisors<N>;
}

/** WGSL: for each of `names`, such as width, `byWidth(n)` gives n / width and n % width, for n below 2^31. */
/* @__NO_SIDE_EFFECTS__ */
export function divisions(...names: readonly string[]): string {
  const each = names.map(
    (name) =>
      `fn by${name[0]!.toUpperCase()}${name.slice(1)}(n: u32) -> vec2u { return dividedBy(n, params.${name}, params.${name}Factor, params.${name}Shift); }`,
  );
  return [divisionSource, ...each].join("\n");
}

/**
 * Sets the values of the parameters of a divisor, from 1 to below 2^31. With l bits in d - 1, the factor is the next number
 * above 2^(31 + l) / d, and n times that, shifted down again, is too large by less than 1 / d.
 */
export function setDivisor(values: Record<string, number>, name: string, d: number): void {
  const bits = 32 - Math.clz32(d - 1);
  // In two digits of 16 bits, for a number holds 53.
  const high = Math.floor(2 ** (bits + 15) / d);
  const low = Math.floor(((2 ** (bits + 15) - high * d) * 2 ** 16) / d);
  values[name] = d;
  values[`${name}Factor`] = high * 2 ** 16 + low + 1;
  values[`${name}Shift`] = bits;
}

/** The values of the parameters of divisors. */
export function divisorValues<N extends string>(
  divisors: Readonly<Record<N, number>>,
): { [K in keyof Divisors<N>]: number } {
  const values: Record<string, number> = {};
  for (const [name, d] of Object.entries<number>(divisors)) setDivisor(values, name, d);
  return values as { [K in keyof Divisors<N>]: number };
}
