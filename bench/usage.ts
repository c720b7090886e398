// Mistakes in the arguments of the bench: those that Node's parseArgs finds, and our own.

export class UsageError extends Error {
  override name = "UsageError";
}

/** Says what went wrong and ends the process: exit status 2 where it was the arguments, 1 otherwise. */
export function end(error: unknown): never {
  const { code, message, syscall } = error as NodeJS.ErrnoException;
  const usage = error instanceof UsageError || `${code}`.startsWith("ERR_PARSE_ARGS_");
  // What the system refuses it names with the path.
  console.error(usage || syscall !== undefined ? message : error);
  process.exit(usage ? 2 : 1);
}
