// Products and attention on matrix units: they compile for every shape of unit on Dawn's null backend, which runs
// nothing, and their cases of the op table have the right numbers where a driver with such units is found: that of this
// process, or Mesa's since 26.1 with a Node that loads it, where MATRIX_NODE names that Node and VK_DRIVER_FILES the driver,
// or both lie in .gpu/lavapipe.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { composeWgsl, findAdapter } from "../engine/index.ts";
import { kernelsOnUnits } from "../kernels/attention/attention.ts";
import { matrixKernels } from "../kernels/matmul/matrix.ts";
import { unitConstants } from "../kernels/tiles/units.ts";

const feature = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** Shapes of units that adapters have: NVIDIA's and AMD's, Intel's, Apple's. */
const shapes = [
  [16, 16, 16],
  [8, 16, 16],
  [8, 8, 8],
] as const;

/** Dawn's null backend, with its matrix units. */
async function nullDevice() {
  const { adapter, instance } = await findAdapter({
    dawn: ["backend=null", "enable-dawn-features=allow_unsafe_apis"],
  });
  assert.ok(instance, "held until the end of the test");
  assert.ok(adapter.features.has(feature));
  const { limits } = adapter;
  const device = await adapter.requestDevice({
    requiredFeatures: ["shader-f16", "subgroups", feature],
    requiredLimits: {
      maxComputeWorkgroupStorageSize: limits.maxComputeWorkgroupStorageSize,
    },
  });
  return { device, instance };
}

test("products on matrix units compile on the null backend", async () => {
  const { device, instance } = await nullDevice();
  assert.ok(instance);
  const compile = (code: string) =>
    device.createComputePipelineAsync({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }) },
    });
  // Dawn wants a workgroup, of 4 subgroups, to be whole subgroups of the largest size, here 128.
  const lanes = { subgroups: true, count: 32 };
  assert.is(matrixKernels.length, 33);
  for (const [at, kernel] of matrixKernels.entries()) {
    // Every shape of units meets every way to store operands.
    for (const [i, [MATRIX_M, MATRIX_N, MATRIX_K]] of shapes.entries()) {
      const [TRANS_A, TRANS_B] = [(at + i) % 2 === 0, (at + i) % 4 < 2];
      const constants = {
        ...{ TRANS_A, TRANS_B, GELU: i === 1, SLOPE: i === 2 },
        ...{ MATRIX_M, MATRIX_N, MATRIX_K, MEMORY: 16 * 1024 },
      };
      const code = composeWgsl(kernel, "f16", constants, lanes);
      await compile(code);
      if (at % 16 === 0 && i === 0) {
        const broken = code.replace("matrix_left<f16, MATRIX_K", "matrix_left<f16, 8u");
        assert.not.equal(broken, code);
        device.pushErrorScope("validation");
        const failure = await compile(broken).catch((error: Error) => error);
        await device.popErrorScope();
        assert.instance(failure, Error, "a wrong shape is refused");
      }
    }
  }
  device.destroy();
});

test("attention on matrix units is valid for every shape and head", async () => {
  const { device, instance } = await nullDevice();
  assert.ok(instance);
  const fault = async (code: string) => {
    device.pushErrorScope("validation");
    device.createShaderModule({ code });
    return (await device.popErrorScope())?.message ?? null;
  };
  for (const [M, N, K] of shapes) {
    const shape = { componentType: "f16", resultComponentType: "f32", M, N, K };
    for (const HEAD of [32, 48, 64, 80, 96, 112, 128]) {
      const BLOCK = 2 * N;
      const constants = {
        ...{ HEAD, BLOCK, SETS: 2, DROPOUT: HEAD % 32 === 0 },
        ...unitConstants(shape, 32 * 1024),
      };
      const [first, ...others] = Object.values(kernelsOnUnits({ shape, headSize: HEAD, block: BLOCK })).map(
        (kernel) => composeWgsl(kernel, "f16", constants, { subgroups: true, count: 32 }),
      );
      for (const code of [first!, ...others]) assert.is(await fault(code), null);
      assert.match(String(await fault(first!.replace("MATRIX_K, MATRIX_M>", "MATRIX_K, 24u>"))), /matrix/);
    }
  }
  device.destroy();
});

const root = fileURLToPath(new URL("..", import.meta.url));
const unpacked = `${root}.gpu/lavapipe`;

/** What to run the cases with. */
function driver(): { node: string; env: NodeJS.ProcessEnv } {
  const { MATRIX_NODE, VK_DRIVER_FILES } = process.env;
  const lanes = { LP_NATIVE_VECTOR_WIDTH: "256" }; // of Mesa's processor driver, which has no matrices at 128
  if (MATRIX_NODE && VK_DRIVER_FILES) return { node: MATRIX_NODE, env: { ...process.env, ...lanes } };
  if (existsSync(`${unpacked}/node`)) {
    const files = `${unpacked}/lvp_icd.json`;
    return { node: `${unpacked}/node`, env: { ...process.env, VK_DRIVER_FILES: files, ...lanes } };
  }
  return { node: process.execPath, env: process.env };
}

test("products and attention on matrix units have the right numbers", async () => {
  const { node, env } = driver();
  const child = spawn(node, ["--import", "./cli/register.mjs", "test/matrix-units.ts"], { cwd: root, env });
  let [out, err] = ["", ""];
  child.stdout.on("data", (data) => {
    out += data;
  });
  child.stderr.on("data", (data) => {
    err += data;
  });
  const code = await new Promise((resolve) => child.on("close", resolve));
  assert.is(code, 0, err);
  // Dawn has printed its warnings before.
  const results = JSON.parse(out.trim().split("\n").at(-1)!) as
    | { name: string; failures: string[]; skipped: string | null }[]
    | null;
  if (!results) {
    assert.is(node, process.execPath, "the driver that was named has no matrix units");
    console.log(
      "\nskipped: products and attention on matrix units (no driver with f16 to f32 matrices was found)",
    );
    return;
  }
  assert.ok(results.length >= 50, `${results.length} cases`);
  assert.equal(
    results.filter(({ failures, skipped }) => failures.length > 0 || skipped),
    [],
  );
});

test.run();
