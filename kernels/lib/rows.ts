// How row kernels run: one workgroup of LANES invocations works on one row, and sums over the row through
// `laneSum` and `laneMax`, on subgroups or on shared memory.
import shared from "./rows-shared.wgsl?raw";
import subgroups from "./rows-subgroup.wgsl?raw";

/** The include that brings `lane`, `laneSum` and `laneMax`. */
export const rowLanes = { subgroups, shared };
