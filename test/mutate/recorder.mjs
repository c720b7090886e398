// In a process on reporting copies (seen.ts): keeps what they report. `globalThis.casementNotes` has it; where a process
// does nothing with that itself, it is written to the folder CASEMENT_SEEN_OUT at the end.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { globals } from "webgpu";

const functions = new Set();
const texts = new Set();

globalThis.casementSeen = (number) => {
  functions.add(number);
};
globalThis.casementNotes = {
  functions,
  texts,
  /** The WGSL files that a text came from. */
  filesOf: (code) => Array.from(code.matchAll(/^\/\/@ (.*)$/gm), ([, file]) => file),
  written: false,
};

const { createShaderModule } = globals.GPUDevice.prototype;
globals.GPUDevice.prototype.createShaderModule = function (descriptor) {
  // Dawn's null backend compiles, and runs nothing.
  const runs = !/null/i.test(this.adapterInfo.device);
  if (runs) for (const file of globalThis.casementNotes.filesOf(descriptor.code)) texts.add(file);
  return createShaderModule.call(this, descriptor);
};

process.on("exit", () => {
  if (globalThis.casementNotes.written) return;
  writeFileSync(
    join(process.env.CASEMENT_SEEN_OUT, `${process.pid}.json`),
    JSON.stringify({ functions: [...functions], texts: [...texts] }),
  );
});
