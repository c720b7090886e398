// The page's end of a worker: calls as promises, and news to whoever listens.
import type { Asked, Calls, CallTable, News, Told } from "../messages.ts";

/** `C` are the calls that the worker answers, `N` what it tells by itself. */
export class Client<C extends CallTable<C> = Calls, N extends { kind: string } = News> {
  private readonly open = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  private readonly listeners = new Set<(news: N) => void>();
  private next = 1;

  /** @param onBroken is told where the worker itself fails, after which nothing is answered any more */
  constructor(
    private readonly worker: Worker,
    onBroken: (why: string) => void,
  ) {
    this.worker.onmessage = ({ data }: MessageEvent<Told<N>>) => this.hear(data);
    this.worker.onerror = ({ message }) => onBroken(message || "the worker could not be started");
  }

  call<K extends keyof C & string>(call: K, ...[argument]: Parameters<C[K]>): ReturnType<C[K]> {
    const id = this.next++;
    const asked: Asked = { id, call, argument };
    const answer = new Promise((resolve, reject) => this.open.set(id, { resolve, reject }));
    this.worker.postMessage(asked);
    return answer as ReturnType<C[K]>;
  }

  /** @returns what ends it */
  listen(listener: (news: N) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private hear(told: Told<N>): void {
    if ("kind" in told) {
      for (const listener of this.listeners) listener(told);
      return;
    }
    const waiting = this.open.get(told.id);
    this.open.delete(told.id);
    if ("error" in told) {
      const error = new Error(told.error.message);
      error.name = told.error.name;
      waiting?.reject(error);
    } else waiting?.resolve(told.value);
  }
}

/**
 * Asks one thing at a time and of what comes meanwhile the last alone: so answers never lie further behind than one.
 */
export class Latest<Q> {
  private running = false;
  private waiting: { question: Q } | null = null;

  constructor(private readonly work: (question: Q, isLast: () => boolean) => Promise<void>) {}

  ask(question: Q): void {
    this.waiting = { question };
    if (!this.running) void this.run();
  }

  private async run(): Promise<void> {
    this.running = true;
    while (this.waiting) {
      const { question } = this.waiting;
      this.waiting = null;
      await this.work(question, () => this.waiting === null);
    }
    this.running = false;
  }
}
