// The command line: finds the command, reads its arguments, runs it, and turns what went wrong into one clear message and
// an exit status: 2 where the arguments can't be understood, 1 where anything else failed, 130 where it was interrupted.
// With --json standard output holds one JSON value, errors included; --debug shows where an error came from.
import { commandLinePackages, requirePackages, version } from "../train/place.ts";
import type { Command, Context } from "./command.ts";
import { commands } from "./commands.ts";
import { Interrupt } from "./interrupt.ts";
import { flag, helpLines, quoted, UsageError } from "./options.ts";
import { exit, Output, type Sink, visible } from "./output.ts";

/** What every command takes. */
const common = {
  json: flag("Print the result as JSON, and nothing else on standard output"),
  debug: flag("Show where an error came from"),
  help: flag("Show this"),
};

/**
 * Runs the command line. Returns the exit status; whoever calls it may then end the process, as Dawn's threads would keep
 * it alive behind an error that left a device open.
 */
export async function main(args: readonly string[], sink: Sink): Promise<number> {
  const output = new Output(sink, args.includes("--json"));
  const interrupt = new Interrupt(output);
  try {
    return await dispatch(args, { output, interrupt });
  } catch (error) {
    return failure(args, output, error);
  } finally {
    interrupt.end();
  }
}

/** Says what went wrong. Returns the exit status. */
export function failure(args: readonly string[], output: Output, thrown: unknown): number {
  const error = thrown instanceof Error ? thrown : new Error(`${thrown}`);
  const usage = error instanceof UsageError;
  const { name, found } = find(args);
  const hint = ["npx casement", ...(found ? [name] : []), "--help"];
  const message = usage ? `${error.message}; see ${hint.join(" ")}.` : error.message;
  output.fail(withVisible(args, message), args.includes("--debug") ? error.stack : undefined);
  return usage ? exit.usage : exit.failed;
}

/** A message in which arguments, or values in them, show their line breaks as such. */
function withVisible(args: readonly string[], message: string): string {
  const parts = args.flatMap((argument) => [argument, argument.slice(argument.indexOf("=") + 1)]);
  return parts
    .filter((part) => visible(part, "line") !== visible(part, "block"))
    .reduce((text, part) => text.replaceAll(part, () => visible(part, "line")), message);
}

/** The command among arguments, whose name may take two words, and what stands before and behind it. */
function find(args: readonly string[]) {
  const at = args.findIndex((argument) => !/^(--(json|debug|help|version)|-h)$/.test(argument));
  const before = at < 0 ? args : args.slice(0, at);
  const rest = at < 0 ? [] : args.slice(at);
  const two = rest.length > 1 && commands.has(`${rest[0]} ${rest[1]}`);
  const name = two ? `${rest[0]} ${rest[1]}` : rest[0];
  // Two words in one argument are no command's.
  const found = two || !name?.includes(" ") ? commands.get(name ?? "") : undefined;
  return { before, name, behind: rest.slice(two ? 2 : 1), found };
}

async function dispatch(args: readonly string[], context: Context): Promise<number> {
  const { output } = context;
  const { before, name, behind, found } = find(args);
  if (before.includes("--version")) {
    output.result({ version }, version);
  } else if (name !== undefined && found === undefined) {
    throw new UsageError(`There is no command ${quoted(name)}`);
  } else if (args.includes("--help") || args.includes("-h")) {
    const help = found ? helpOn(name!, found) : overview();
    output.result({ help }, help);
  } else if (found) {
    const run = found.read([...before, ...behind], common);
    requirePackages("casement's command line", commandLinePackages);
    return run(context);
  } else throw new UsageError("The command is missing");
  return exit.done;
}

function overview(): string {
  const width = Math.max(...Array.from(commands.keys(), (name) => name.length)) + 2;
  const lines = Array.from(commands, ([name, { about }]) => `  ${name.padEnd(width)}${about}`);
  const common = "  --version  Show casement's version\n  --help     After a command: what it takes";
  return `casement COMMAND OPTIONS\n\n${lines.join("\n")}\n\n${common}`;
}

function helpOn(name: string, { about, operands, options }: Command): string {
  const usage = ["casement", name, ...Object.values(operands).map(({ value }) => value), "OPTIONS"];
  return [usage.join(" "), "", about, "", ...helpLines({ ...options, ...common })].join("\n");
}
