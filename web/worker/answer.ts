// A worker's end of the page: calls in, answers and news out.
import type { Asked, CallTable, Told } from "../messages.ts";

interface Port {
  postMessage(message: Told<{ kind: string }>): void;
  onmessage: ((event: MessageEvent<Asked>) => void) | null;
}
export const port = globalThis as unknown as Port;

/** How a worker answers each of its calls. */
export type Answers<C extends CallTable<C>> = { [K in keyof C]: (argument: never) => ReturnType<C[K]> };

/** Answers every call from now on. */
export function answer<C extends CallTable<C>>(calls: Answers<C>): void {
  port.onmessage = async ({ data: { id, call, argument } }) => {
    try {
      const work = calls[call as keyof C] as unknown as (argument: unknown) => Promise<unknown>;
      port.postMessage({ id, value: await work(argument) });
    } catch (error) {
      const { name, message } = error instanceof Error ? error : new Error(`${error}`);
      port.postMessage({ id, error: { name, message } });
    }
  };
}
