// Ctrl-C, SIGTERM and a terminal that is closed: a command that can stop between two steps is asked to, any other ends at
// once, and so does every one at the second time.
import { exit, type Output } from "./output.ts";

export const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export class Interrupt {
  private asked = false;
  private message: string | null = null;

  /** Listens until `end`, for the whole process. */
  constructor(private readonly output: Output) {
    for (const signal of signals) process.on(signal, this.ask);
    output.onClose = () => {
      // Who has closed the pipe has seen what they wanted.
      if (this.message === null) process.exit(exit.done);
      this.asked = true;
    };
  }

  /** Says that the command at hand can stop by itself; what is returned tells whether it should. */
  stoppable(message: string): () => boolean {
    this.message = message;
    return () => this.asked;
  }

  end(): void {
    for (const signal of signals) process.off(signal, this.ask);
  }

  private readonly ask = () => {
    if (this.asked || this.message === null) {
      this.output.fail("Interrupted.");
      process.exit(exit.interrupted);
    }
    this.asked = true;
    this.output.line(this.message);
  };
}
