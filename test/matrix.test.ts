// The tensor-core variant of the matrix product compiles: no adapter of the usual test machines has matrix units, but
// Dawn's null backend takes shaders that use them. It runs nothing, so this says nothing about numbers.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { composeWgsl, findAdapter } from "../engine/index.ts";
import { matmulKernels } from "../kernels/matmul/variants.ts";

const feature = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

test("matrix kernels compile on the null backend", async () => {
  const { adapter, instance } = await findAdapter({
    dawnFlags: ["backend=null", "enable-dawn-features=allow_unsafe_apis"],
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
  const kernels = matmulKernels.filter(({ name }) => name.startsWith("matmul-matrix"));
  assert.is(kernels.length, 8);
  const compile = (code: string) =>
    device.createComputePipelineAsync({
      layout: "auto",
      compute: { module: device.createShaderModule({ code }) },
    });
  for (const kernel of kernels) {
    for (const [TRANS_A, TRANS_B] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      for (const full of [false, true]) {
        const constants = {
          ...{
            TRANS_A,
            TRANS_B,
            HAS_BIAS: full,
            HAS_RESIDUAL: full,
            GELU: full,
            SLOPE: !full,
          },
          ...{ MATRIX_M: 8, MATRIX_N: 8, MATRIX_K: 16 },
        };
        // Dawn wants the workgroup, 8 subgroups, to be whole subgroups of the largest size, here 128.
        const code = composeWgsl(kernel, "f16", constants, { subgroups: true, count: 32 });
        await compile(code);
        if (full && TRANS_A) {
          const broken = code.replace("matrix_left<f16, MATRIX_K", "matrix_left<f16, 8u");
          assert.not.equal(broken, code);
          device.pushErrorScope("validation");
          const failure = await compile(broken).catch((error: Error) => error);
          await device.popErrorScope();
          assert.instance(failure, Error, "a wrong shape is refused");
        }
      }
    }
  }
  device.destroy();
});

test.run();
