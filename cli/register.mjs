// Teaches this Node process to import .ts (through tsx) and .wgsl?raw (through wgsl-hook.mjs).
import { register as registerHook } from "node:module";
import { register as registerTsx } from "tsx/esm/api";

registerTsx();
registerHook("./wgsl-hook.mjs", import.meta.url);
