// One side of the bench: a worker that is opened when it is first asked, and again after it had to be ended.
import { type Worker, WorkerError } from "./worker.ts";

export class Side<Facts> {
  private opening: Promise<Facts> | null = null;
  private starts = 0;

  constructor(
    private readonly worker: Worker,
    /** What `open` is asked with. */
    private readonly options: object,
    /** Seconds that opening may take. */
    private readonly patience: number,
    /** Times that it is opened at most: a side that dies again and again costs more than it tells. */
    private readonly most = Number.POSITIVE_INFINITY,
  ) {}

  /** Opens the side, where it is not open. Throws WorkerError. */
  open(limit = this.patience): Promise<Facts> {
    if (!this.opening || !this.worker.running) {
      if (++this.starts > this.most)
        return Promise.reject(new WorkerError(`${this.worker.name} died too often`));
      this.opening = this.worker.ask<Facts>("open", this.options, Math.min(limit, this.patience));
      this.opening.catch(() => {
        this.opening = null;
      });
    }
    return this.opening;
  }

  /** Asks a question within `limit` seconds, those for opening counted in. Throws WorkerError. */
  async ask<T>(method: string, args: unknown, limit: number, note?: (value: unknown) => void): Promise<T> {
    const end = performance.now() + 1000 * limit;
    await this.open(limit);
    return this.worker.ask<T>(method, args, (end - performance.now()) / 1000, note);
  }

  end(reason?: string): void {
    this.worker.end(reason);
    this.opening = null;
  }
}
