// One short process that gives its engine up at an awkward moment: `node life.mjs MODULES MOMENT COUNT UNIT`. It must end
// by itself, after a line "end" where all that it waits for has settled. So many turns of the event loop, or
// milliseconds, go by before the moment comes. Plain JavaScript on built modules, as two hundred of these are started.
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import { pathToFileURL } from "node:url";

const [folder, moment, count, unit] = process.argv.slice(2);
const load = (name) => import(pathToFileURL(`${folder}/${name}.js`).href);
const { Engine, findAdapter, DeviceError, DeviceLostError, TensorError } = await load("engine");
const { backward, layernorm, linear, mean, softmax } = await load("kernels");

const pass = async () => {
  if (unit === "ms") await sleep(Number(count));
  else for (let i = 0; i < Number(count); i++) await turn();
};
/** Waits for what may end in an error of the engine's end, and in no other. */
const settle = async (...promises) => {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === "fulfilled") continue;
    const { reason } = result;
    const known = [DeviceError, DeviceLostError, TensorError].some((kind) => reason instanceof kind);
    if (!known) throw reason;
  }
};
/** A device as an app opens it, with what has to be held as long as it lives. */
const openDevice = async () => {
  const { adapter, instance } = await findAdapter({});
  globalThis.held = instance;
  return adapter.requestDevice();
};
const numbers = (size) => Float32Array.from({ length: size }, (_, i) => Math.sin(i + 1));
/** A step of a small network with kernels that take a while to compile. */
const stepOf = (engine) => {
  const x = engine.tensor(numbers(48), [6, 8]);
  const w = engine.tensor(numbers(80), [10, 8]);
  const [gamma, beta] = [engine.tensor(numbers(10), [10]), engine.tensor(numbers(10), [10])];
  w.requiresGrad = true;
  const step = () => {
    const y = mean(softmax(layernorm(linear(x, w, { gelu: true }), gamma, beta)));
    backward(y);
    return y;
  };
  return { x, w, step };
};
const eager = (engine) => engine.scope(() => stepOf(engine).step());
/** The same once its kernels are there: what is under way then is the device's work, not the compiler's. */
const warm = async (engine) => {
  await eager(engine).read();
  return eager(engine);
};

const moments = {
  async "disposed, a read under way"() {
    const engine = await Engine.create();
    const read = (await warm(engine)).read();
    await pass();
    engine.dispose();
    await settle(read);
  },
  async "disposed, many reads and an idle under way"() {
    const engine = await Engine.create();
    const y = eager(engine);
    const waits = [y.read(), engine.idle(), y.read(), y.read(), engine.trim()];
    await pass();
    engine.dispose();
    await settle(...waits);
  },
  async "disposed, a capture compiling"() {
    const engine = await Engine.create();
    const capture = engine.capture(stepOf(engine).step);
    await pass();
    engine.dispose();
    await settle(capture);
  },
  async "disposed, a program's run and its read under way"() {
    const engine = await Engine.create();
    const program = await engine.capture(stepOf(engine).step);
    program.run();
    const read = program.outputs.read();
    program.run();
    program.dispose();
    await pass();
    engine.dispose();
    await settle(read);
  },
  async "disposed, preparing on several devices"() {
    const engine = await Engine.create();
    const prepare = engine.prepare(stepOf(engine).step, { threads: 2 });
    await pass();
    engine.dispose();
    await settle(prepare);
  },
  async "disposed, tuning"() {
    const engine = await Engine.create();
    const { step } = stepOf(engine);
    const tune = engine.tune(step);
    await pass();
    engine.dispose();
    await settle(tune);
  },
  async "disposed, profiling"() {
    const engine = await Engine.create();
    const profile = engine.hasTimestamps ? engine.profile(() => void eager(engine)) : engine.idle();
    await pass();
    engine.dispose();
    await settle(profile);
  },
  async "disposed at once, twice"() {
    for (let i = 0; i < 2; i++) {
      const engine = await Engine.create();
      engine.dispose();
      engine.dispose();
      await settle(engine.idle());
    }
  },
  async "device destroyed, reads under way"() {
    const device = await openDevice();
    const engine = await Engine.create({ device });
    const y = await warm(engine);
    const waits = [y.read(), engine.idle(), y.read()];
    await pass();
    device.destroy();
    await settle(...waits);
  },
  async "device destroyed, a capture compiling"() {
    const device = await openDevice();
    const engine = await Engine.create({ device });
    const capture = engine.capture(stepOf(engine).step);
    await pass();
    device.destroy();
    await settle(capture);
    engine.dispose();
  },
  async "device destroyed, preparing"() {
    const device = await openDevice();
    const engine = await Engine.create({ device });
    const prepare = engine.prepare(stepOf(engine).step);
    await pass();
    device.destroy();
    await settle(prepare);
  },
  async "one of two engines on a device disposed, then the device destroyed"() {
    const device = await openDevice();
    const [one, other] = [await Engine.create({ device }), await Engine.create({ device })];
    const [y, z] = [await warm(one), eager(other)];
    const waits = settle(y.read(), z.read(), other.idle());
    await pass();
    one.dispose();
    await pass();
    device.destroy();
    await waits;
  },
  async "own device destroyed behind the engine's back"() {
    const engine = await Engine.create();
    const read = (await warm(engine)).read();
    await pass();
    engine.device.destroy();
    await settle(read);
  },
  async "never disposed, all read"() {
    const engine = await Engine.create();
    await eager(engine).read();
  },
  async "never disposed, a read under way"() {
    const engine = await Engine.create();
    eager(engine)
      .read()
      .catch(() => {});
    await pass();
  },
  async "an exception that nobody handles, a read under way"() {
    const engine = await Engine.create();
    const read = eager(engine).read();
    await pass();
    process.exitCode = 1;
    queueMicrotask(() => {
      throw new Error("the app's own");
    });
    await settle(read);
  },
  async "a rejection that nobody handles, a capture compiling"() {
    const engine = await Engine.create();
    engine.capture(stepOf(engine).step);
    await pass();
    throw new Error("the app's own");
  },
  async "exit while preparing"() {
    const engine = await Engine.create();
    engine.prepare(stepOf(engine).step, { threads: 2 }).catch(() => {});
    await pass();
    process.exit(3);
  },
  async "exit, a read under way"() {
    const engine = await Engine.create();
    eager(engine).read();
    await pass();
    process.exit(3);
  },
  async "terminated, a read under way"() {
    const engine = await Engine.create();
    const read = eager(engine).read();
    await pass();
    process.kill(process.pid, "SIGTERM");
    await settle(read);
    await sleep(60_000);
  },
};

if (moment === undefined) console.log(JSON.stringify(Object.keys(moments)));
else {
  await moments[moment]();
  console.log("end");
}
