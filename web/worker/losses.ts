// How often the device was lost of late: one that goes again and again is left alone.

const most = 3;
const window = 60_000;

export class Losses {
  private times: number[] = [];

  /** Notes one. Returns whether to open the device once more. */
  note(): boolean {
    const now = Date.now();
    this.times = [...this.times.filter((at) => now - at < window), now];
    return this.times.length <= most;
  }
}
