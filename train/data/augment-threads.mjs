// Starts augment-threads.ts in a worker thread, to which this process's TypeScript loader does not reach.
import { register } from "tsx/esm/api";

register();
await import("./augment-threads.ts");
