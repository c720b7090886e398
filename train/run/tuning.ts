// The cache file of measured kernel choices (engine/tune/choices.ts), for runs with `tuning: true`.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { ChoiceStore } from "../../engine/index.ts";
import { cacheFolder } from "../place.ts";
import { writeAtomically } from "./disk.ts";

const standard = join(cacheFolder, "tuning.json");

/** A store for `EngineOptions.choices` in one file; a folder that can't be written costs a line of warning. */
export function choiceFile(file = standard): ChoiceStore {
  const failed = (error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT")
      console.warn(`The choices of kernels in ${file} were ignored: ${error.message}`);
    return null;
  };
  return {
    read: () => readFile(file, "utf8").catch(failed),
    async write(text) {
      await writeAtomically(file, text).catch((error: Error) => {
        console.warn(`The choices of kernels could not be kept in ${file}: ${error.message}`);
      });
    },
  };
}
