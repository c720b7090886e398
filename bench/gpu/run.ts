// Runs parts one after the other, each until its end at the latest, whatever it does.
import { cardState } from "./card.ts";
import type { Context, Part } from "./parts.ts";
import type { GpuResults } from "./results.ts";

export interface Plan extends Pick<Context, "quick" | "results" | "ours" | "checking" | "torch" | "say"> {
  /** For each part that runs, seconds on `clock` until its end at the latest. */
  ends: ReadonlyMap<string, number>;
  /** Seconds since the start of the script. */
  clock(): number;
  /** Ends all sides, of which the next part may ask again. */
  end(): void;
  save(): void;
}

/** Seconds beyond its end for a part to see that its time is over. */
const grace = 1;

/** Runs parts; each leaves an entry in the results, which are saved after it. */
export async function runParts(parts: readonly Part[], plan: Plan): Promise<void> {
  const { ends, clock, end, ...given } = plan;
  const { results, say, save } = given;
  for (const part of parts) {
    const until = ends.get(part.name);
    if (until === undefined) continue;
    const start = clock();
    const left = () => until - clock();
    const entry: GpuResults["parts"][number] = {
      ...{ name: part.name, status: "done", seconds: 0, notes: [], card: null },
    };
    results.parts.push(entry);
    say(`${part.name} (until ${Math.round(until)} s)`);
    // A part that was given up may still come to a word.
    let open = true;
    const note = (text: string) => {
      if (!open) return;
      entry.notes.push(text);
      say(`  ${text}`);
    };
    const cut = () => {
      if (open) entry.status = "cut";
    };
    try {
      if (part !== parts[0] && !results.machine.adapter) throw new Error("left out: there is no adapter");
      await inTime(part.run({ ...given, left, note, cut }), left() + grace);
    } catch (error) {
      const { message } = error as Error;
      entry.status = message.startsWith("left out") ? "left out" : left() < 1 ? "cut" : "failed";
      note(message.slice(0, 1500));
      end();
    }
    open = false;
    entry.card = await cardState();
    entry.seconds = Math.round((clock() - start) * 10) / 10;
    save();
  }
}

/** The promise, or an error after so many seconds. */
function inTime(work: Promise<void>, seconds: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("its time is over")), Math.max(0, 1000 * seconds));
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
