// Parameter groups: which parameters learn, at which multiple of the learning rate and with which weight decay, by
// patterns of their names, as in PyTorch's optimisers and the layer-wise rates of fine-tuning.
import { namePattern } from "../../model/name-pattern.ts";
import type { Learning } from "../../model/parameters.ts";
import { ConfigError, type RunConfig } from "../config.ts";

/**
 * How each parameter learns; the first group whose pattern its name has counts.
 * @param names of all parameters. Throws ConfigError for a pattern that none has, which may be misspelt.
 */
export function learningOf(
  { groups, freezeVision }: RunConfig["training"],
  names: readonly string[],
): (name: string) => Learning | boolean {
  const patterns = groups.map(({ match, ...learning }) => ({ match, learning, pattern: namePattern(match) }));
  const idle = patterns.filter(({ pattern }) => !names.some((name) => pattern.test(name)));
  if (idle.length > 0)
    throw new ConfigError(
      `training.groups: no parameter is called ${idle.map(({ match }) => JSON.stringify(match)).join(" or ")}.`,
    );
  const learning = (name: string): Learning | boolean => {
    const group = patterns.find(({ pattern }) => pattern.test(name));
    if (group) return group.learning.rate > 0 && group.learning;
    return !(freezeVision && name.startsWith("vision_model."));
  };
  if (!names.some(learning)) throw new ConfigError("training.groups leaves nothing that learns.");
  return learning;
}
