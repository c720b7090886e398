// What nvidia-smi says of the card; nothing where there is none.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const always = [
  "name",
  "driver_version",
  "memory.total",
  "clocks.max.sm",
  "clocks.max.memory",
  "power.limit",
];
const now = ["clocks.sm", "clocks.memory", "temperature.gpu", "power.draw", "memory.used", "utilization.gpu"];

async function ask(fields: readonly string[]): Promise<Record<string, string> | null> {
  try {
    const args = [`--query-gpu=${fields.join(",")}`, "--format=csv,noheader"];
    const { stdout } = await promisify(execFile)("nvidia-smi", args, {
      timeout: 5000,
      killSignal: "SIGKILL",
    });
    const values = stdout.split("\n")[0]!.split(", ");
    return Object.fromEntries(fields.map((field, i) => [field, values[i]?.trim() ?? ""]));
  } catch {
    return null;
  }
}

/** The card's name, driver and limits. */
export const cardFacts = () => ask([...always, ...now]);

/** Its clocks, heat and memory in use at this moment. */
export const cardState = () => ask(now);
