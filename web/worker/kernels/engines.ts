// The engines of the Kernels tab: one fills memory with NaN before use and checks, the other is as apps have it and is
// timed. A device that is lost or does not answer is given up, and the next question opens another. One that hangs is left
// as it is: to destroy it would make the browser wait for it, and every other page's device with it.
import { DeviceLostError, Engine } from "../../../engine/index.ts";

/** The user wants no more of it. */
export class StoppedError extends Error {
  override name = "StoppedError";
}

/** The device did not answer for so many seconds. */
export class StuckError extends Error {
  override name = "StuckError";

  constructor(readonly seconds: number) {
    super(`The GPU did not answer for ${seconds} seconds.`);
  }
}

const kinds = { checks: { poison: true }, times: {} };
type Kind = keyof typeof kinds;

/** After a stop, how many milliseconds the device has to end what it is at. */
const grace = 3000;

interface Opening {
  promise: Promise<Engine>;
  engine: Engine | null;
}

export class Engines {
  private readonly open = new Map<Kind, Opening>();
  /** Held, as the garbage collector would destroy their devices. */
  private readonly hanging = new Set<Engine>();
  private stops: (() => void) | null = null;
  private stopped = new Promise<void>(() => {});

  /** `lost` hears of a device that goes while nobody waits for it. */
  constructor(private readonly lost: (why: string) => void) {}

  get(kind: Kind): Promise<Engine> {
    const known = this.open.get(kind);
    if (known) return known.promise;
    const opening: Opening = { promise: Engine.create(kinds[kind]), engine: null };
    this.open.set(kind, opening);
    opening.promise.then(
      (engine) => {
        opening.engine = engine;
        void engine.device.lost.then(({ message }) => {
          if (this.forget(engine)) this.lost(message);
        });
      },
      () => this.open.delete(kind),
    );
    return opening.promise;
  }

  /** Those that are in use. */
  all(): Engine[] {
    return [...this.open.values()].flatMap(({ engine }) => engine ?? []);
  }

  /** Begins something that `stop` ends. */
  begin(): void {
    this.stopped = new Promise((resolve) => {
      this.stops = resolve;
    });
  }

  stop(): void {
    this.stops?.();
    this.stops = null;
  }

  /**
   * What comes of work on an engine, which is asked for here, so that a part of the whole ends early where the user stops
   * it. Throws StuckError after so many seconds without an answer, StoppedError, and what the work throws.
   */
  async within<T>(engine: Engine, seconds: number, work: () => Promise<T>): Promise<T> {
    if (!this.stops) throw new StoppedError("Stopped.");
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new StuckError(seconds)), seconds * 1000);
      void this.stopped.then(() => {
        clearTimeout(timer);
        timer = setTimeout(() => reject(new StoppedError("Stopped.")), grace);
      });
    });
    const done = work();
    done.catch(() => {});
    try {
      return await Promise.race([done, late]);
    } catch (error) {
      if (error instanceof DeviceLostError) this.forget(engine);
      if (error instanceof StuckError || error instanceof StoppedError) {
        this.forget(engine);
        this.hanging.add(engine);
        // It was busy only, and has come to its end.
        const end = () => {
          this.hanging.delete(engine);
          engine.dispose();
        };
        done.then(end, end);
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Gives an engine up. Returns whether it was in use. */
  private forget(engine: Engine): boolean {
    for (const [kind, opening] of this.open) {
      if (opening.engine !== engine) continue;
      this.open.delete(kind);
      return true;
    }
    return false;
  }
}
