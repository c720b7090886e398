// In a process on reporting copies (seen.ts): keeps what they report. `globalThis.casementNotes` has it; where a process
// does nothing with that itself, it is written to CASEMENT_SEEN_OUT at the end.
import { writeFileSync } from "node:fs";
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
  for (const file of globalThis.casementNotes.filesOf(descriptor.code)) texts.add(file);
  return createShaderModule.call(this, descriptor);
};

process.on("exit", () => {
  if (globalThis.casementNotes.written) return;
  writeFileSync(
    process.env.CASEMENT_SEEN_OUT,
    JSON.stringify({ functions: [...functions], texts: [...texts] }),
  );
});
