// What the doctor says of an adapter that lacks features, and that the engine does so; what its check says of drivers
// that compute wrong, refuse a kernel, crash or hang.
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { OpCase } from "../cases/case.ts";
import { recordCase } from "../cases/check.ts";
import { driverCases, type Verdict } from "../cases/driver.ts";
import { allCases } from "../cases/table.ts";
import type { AdapterReport } from "../cli/advice.mjs";
import { adapterLines } from "../cli/doctor.ts";
import { checkDriver } from "../cli/driver.ts";
import { Engine, findAdapter, type Kernel } from "../engine/index.ts";
import { backward } from "../kernels/backward.ts";
import { linear } from "../kernels/matmul/matmul.ts";
import { mean } from "../kernels/reduce/reduce.ts";
import { runCommand } from "./command.ts";

const report = (features: string[]): AdapterReport => ({
  vendor: "made up",
  architecture: "none",
  device: "",
  description: "A made-up adapter",
  subgroupMinSize: 8,
  subgroupMaxSize: 8,
  subgroupMatrixConfigs: [],
  features,
  limits: {},
});
const lineOf = (features: string[], name: string) =>
  adapterLines(report(features)).find((line) => line.trim().startsWith(name));

test("a missing feature shows the fallback that is in force", () => {
  const fallbacks = {
    "shader-f16": /no: .*f32/,
    subgroups: /no: .*workgroup memory/,
    "timestamp-query": /no: .*wall clock/,
  };
  for (const [name, text] of Object.entries(fallbacks)) {
    assert.match(lineOf([], name)!, text);
    assert.match(lineOf([name], name)!, /yes/);
  }
});

test("the engine takes these fallbacks on a device without the features", async () => {
  const { adapter, instance } = await findAdapter();
  const device = await adapter.requestDevice();
  const engine = await Engine.create({ device, poison: true });
  assert.not(engine.lanes.subgroups);
  assert.not(engine.hasF16);
  assert.not(engine.hasTimestamps);
  const weight = engine.tensor([1, 2, 3, 4, 5, 6], [2, 3]);
  weight.requiresGrad = true;
  backward(mean(linear(engine.tensor([1, 0, 2], [1, 3]), weight)));
  assert.equal([...(await weight.grad!.read())], [0.5, 0, 1, 0.5, 0, 1]);
  assert.throws(() => engine.empty([2], "f16"), /shader-f16/);
  let message = "";
  await engine
    .profile(() => {})
    .catch((error: Error) => {
      message = error.message;
    });
  assert.match(message, /timestamp-query/);
  engine.dispose();
  device.destroy();
  assert.ok(instance);
});

/** The kernels, with their dtypes, that an engine would run for these cases. */
function kernelsOf(engine: Engine, cases: readonly OpCase[]): Set<string> {
  const seen = new Set<string>();
  engine.run = ({ name }: Kernel, { dtype = "f32" }) => {
    if (!name.startsWith("test-")) seen.add(`${name} ${dtype}`);
  };
  for (const opCase of cases) recordCase(engine, opCase);
  return seen;
}

test("the check runs every kernel of the op table in every dtype", async () => {
  for (const without of [[], ["subgroups"]]) {
    const engine = await Engine.create({ without });
    // Sizes of the bench may choose what is compiled for no other.
    const wanted = kernelsOf(
      engine,
      allCases.filter(({ bench }) => !bench),
    );
    const checked = kernelsOf(engine, driverCases);
    assert.equal(
      [...wanted].filter((name) => !checked.has(name)),
      [],
    );
    engine.dispose();
  }
});

/** Node's options that break a driver, see test/broken-driver.mjs. */
const broken = (faults: string) => ({
  NODE_OPTIONS: `--import ${fileURLToPath(new URL("broken-driver.mjs", import.meta.url))}`,
  BROKEN_DRIVER: faults,
});
const doctorJson = async (env: Record<string, string> = {}) => {
  const { code, out } = await runCommand(tmpdir(), ["doctor", "--check", "--json"], undefined, env);
  return { code, check: JSON.parse(out).check as { right: boolean; cases: Verdict[] } };
};

test("the check finds nothing wrong here", async () => {
  const { code, check } = await doctorJson();
  assert.equal(
    check.cases.filter(({ failures }) => failures.length > 0),
    [],
  );
  assert.equal(
    check.cases.map(({ name }) => name),
    driverCases.map(({ name }) => name),
  );
  assert.ok(check.cases.filter(({ skipped }) => !skipped).length > 40);
  assert.ok(check.right);
  assert.is(code, 0);
});

test("the check names the ops that a driver computes wrong, refuses or dies of", async () => {
  const { code, check } = await doctorJson(
    broken("softmax=miscompile,normalize-odd=refuse,prepend-token-odd=crash"),
  );
  const wrong = check.cases.filter(({ failures }) => failures.length > 0);
  const failures = (name: RegExp) =>
    wrong.filter((verdict) => name.test(verdict.name)).map(({ failures }) => failures.join());
  assert.ok(failures(/softmax/i).length > 3);
  for (const failure of failures(/softmax/i)) assert.match(failure, /relative error/);
  assert.ok(failures(/normalize/).length > 1);
  for (const failure of failures(/normalize/)) assert.match(failure, /normalize-odd.*does not compile/s);
  assert.ok(failures(/prependToken/).length > 1);
  for (const failure of failures(/prependToken/)) assert.match(failure, /ended with SIGKILL/);
  assert.equal(
    wrong.map(({ name }) => name).filter((name) => !/softmax|normalize|prependToken/i.test(name)),
    [],
    "no others are wrong",
  );
  assert.is(check.cases.length, driverCases.length, "the rest is checked all the same");
  assert.not(check.right);
  assert.is(code, 1);
});

test("a driver that never answers is found too", async () => {
  Object.assign(process.env, broken("topk=hang"));
  const names = ["topk drawn indices 3x1000 k 10 f32", "clampInPlace 7 of 91 f32"];
  const verdicts = await checkDriver(undefined, { names, limit: 10_000 });
  for (const name of Object.keys(broken(""))) delete process.env[name];
  assert.equal(
    verdicts.map(({ name }) => name),
    names,
  );
  assert.match(verdicts[0]!.failures.join(), /no answer within 10 s/);
  assert.equal(verdicts[1]!.failures, []);
});

test.run();
