// Patterns for the names of parameters and tensors, as people write them for files: `*` stands for any run of characters.

/** Whether a whole name is as the pattern says. */
export function namePattern(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`);
}
