// Teaches a Node process to import the house's sources, as cli/register.mjs does, with a change to one of them or to all
// (override.mjs), so that nothing on disk is touched. The change goes in before tsx has the source, and behind the hook of
// WGSL, which reads its files itself.
import { register } from "node:module";

register("./override.mjs", import.meta.url);
await import("../../cli/register.mjs");
register("./override.mjs?wgsl", import.meta.url);
if (process.env.CASEMENT_SEEN) await import("./recorder.mjs");
