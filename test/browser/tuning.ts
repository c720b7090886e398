// Choices of kernels in the browser: measured by one engine, found by the next in IndexedDB.
import { choiceDatabase, Engine } from "../../engine/index.ts";
import { stamp } from "../stamp.ts";

/** Opens an engine on the database, tunes, and says what was measured and which variant runs. */
async function tune(): Promise<{ measured: number; variant: number; saved: string | null }> {
  const store = choiceDatabase("casement-test");
  const engine = await Engine.create({ choices: store });
  const measured = await engine.tune(() => stamp(engine));
  const [variant] = await stamp(engine).read();
  engine.dispose();
  return { measured: measured.length, variant: variant!, saved: await store.read() };
}

/** What the test calls from outside through `page.evaluate`. */
const tuningPage = { tune };
export type TuningPage = typeof tuningPage;
Object.assign(globalThis, { tuningPage });
