// A command of the command line: what it takes, and what it does.
import type { Interrupt } from "./interrupt.ts";
import { type Options, readArguments, type Values } from "./options.ts";
import type { Output } from "./output.ts";

/** What a command is given beside its options. */
export interface Context {
  output: Output;
  interrupt: Interrupt;
}

export interface Command {
  about: string;
  operands: Options;
  options: Options;
  /**
   * Reads the arguments and returns the work, whose result is the exit status. Throws UsageError where they can't be
   * understood.
   */
  read(args: readonly string[], common: Options): (context: Context) => Promise<number>;
}

/** Declares a command; `run` gets the values of its options and operands. */
export function command<O extends Options, P extends Options = Record<never, never>>(spec: {
  about: string;
  operands?: P;
  options: O;
  run(values: Values<O> & Values<P>, context: Context): Promise<number>;
}): Command {
  const { about, operands = {} as P, options, run } = spec;
  return {
    ...{ about, operands, options },
    read: (args, common) => {
      const values: Record<string, unknown> = readArguments(args, { ...options, ...common }, operands);
      for (const name of Object.keys(common)) delete values[name];
      return (context) => run(values as Values<O> & Values<P>, context);
    },
  };
}
