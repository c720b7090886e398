// Waiting where the browser asks the device by a slow timer, as Firefox does: a device that stands in for one resolves
// nothing before the next submit. Elsewhere nobody is poked.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";

const agents = {
  firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
  chromium:
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
  none: null,
};

/**
 * Runs in a process of its own, as the engine asks once for the browser's name. Reads twice and idles; what it waits for is
 * kept back until the next submit, or for as long as Firefox's timer would.
 */
async function play(agent: string | null): Promise<{ value: number[]; empty: number; kept: number }> {
  const script = `
    const agent = ${JSON.stringify(agent)};
    if (agent) Object.defineProperty(globalThis, "navigator", { value: { userAgent: agent }, configurable: true });
    const { Engine } = await import("./engine/index.ts");
    const { scale } = await import("./kernels/elementwise/unary.ts");
    const engine = await Engine.create();
    const { queue } = engine.device;
    const held = new Set();
    let [empty, kept] = [0, 0];
    const hold = (promise) => promise.then(() => new Promise((resolve) => {
      const timer = setTimeout(() => { kept++; release(); }, 300);
      const release = () => { clearTimeout(timer); held.delete(release); resolve(); };
      held.add(release);
    }));
    const patch = (name, of, change) => {
      const { prototype } = of.constructor;
      prototype[name] = change(prototype[name]);
    };
    const buffer = engine.device.createBuffer({ size: 16, usage: 1 });
    if (agent) {
      for (const [name, of] of [["mapAsync", buffer], ["onSubmittedWorkDone", queue]])
        patch(name, of, (real) => function (...args) { return hold(real.apply(this, args)); });
    }
    patch("submit", queue, (real) => function (list) {
      if (list.length === 0) empty++;
      const result = real.call(this, list);
      for (const release of [...held]) release();
      return result;
    });
    const x = engine.tensor([1, 2, 3], [3]);
    const value = [...await scale(x, 2).read()];
    await Promise.all([scale(x, 3).read(), scale(x, 4).read(), engine.idle()]);
    const before = empty;
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (empty !== before) throw new Error("poked while nobody waits");
    console.log(JSON.stringify({ value, empty, kept }));
    engine.dispose();
  `;
  const args = ["--import", "./cli/register.mjs", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

test("in Firefox the device is poked until it has answered, and no longer", async () => {
  const { value, empty, kept } = await play(agents.firefox);
  assert.equal(value, [2, 4, 6]);
  assert.ok(empty > 0, "nobody poked");
  assert.is(kept, 0);
});

test("nobody pokes elsewhere", async () => {
  const [chromium, none] = await Promise.all([play(agents.chromium), play(agents.none)]);
  // What stands in for the device answers late then, which shows that it does stand in.
  assert.ok(chromium.kept > 0);
  assert.is(chromium.empty, 0);
  assert.is(none.empty, 0);
});

test.run();
