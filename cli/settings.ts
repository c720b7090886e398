// `--set PATH=VALUE`: any field of a configuration on the command line.
import { ConfigError } from "../train/config.ts";
import { readSetting, type Setting } from "../train/overrule.ts";
import { type Option, UsageError } from "./options.ts";

/** The option; its values are checked as far as a field can be by itself. */
export const settings: Option<Setting[]> = {
  value: "PATH=VALUE",
  about: "Change a field of the configuration, such as training.learningRate=1e-4; may be given again",
  many: true,
  read(texts, label) {
    const read = texts.map((text) => {
      try {
        return readSetting(text);
      } catch (error) {
        throw error instanceof ConfigError ? new UsageError(`${label}: ${error.message}`) : error;
      }
    });
    const paths = read.map(({ path }) => path);
    const twice = paths.find((path, i) => paths.indexOf(path) < i);
    if (twice !== undefined) throw new UsageError(`${label} ${twice} is given more than once`);
    return read;
  },
};

/** Throws UsageError for a field that an option of its own gives as well. */
export function requireOnce(set: readonly Setting[], options: Record<string, unknown>): void {
  for (const [path, value] of Object.entries(options)) {
    const name = path.split(".").at(-1);
    if (value !== undefined && set.some((setting) => setting.path === path))
      throw new UsageError(`--${name} and --set ${path} are one field; give one of them`);
  }
}
