// The kernels of a file as a list, for tests and profiles: written as a call without side effects, which bundlers leave out
// where nobody asks for the list. They keep lists that are spread, and with them the kernels of ops that an app lacks.
import type { Kernel } from "../../engine/index.ts";

/** What `list` gives. */
/* @__NO_SIDE_EFFECTS__ */
export function kernelsIn<K extends Kernel>(list: () => readonly K[]): readonly K[] {
  return list();
}
