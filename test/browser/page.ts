// The first thing to know of a browser: whether it gives an adapter, and whether a compute shader is right.
const SQUARE = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> values: array<f32>;

@compute @workgroup_size(64)
fn square(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&values)) {
    values[id.x] = values[id.x] * values[id.x];
  }
}
`;

/** The browser's adapter in words, or undefined where it gives none. */
async function describeAdapter(): Promise<string | undefined> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) return undefined;
  const { vendor, architecture, description } = adapter.info;
  return [vendor, architecture, description].filter(Boolean).join(" ") || "an adapter without a name";
}

/** Squares numbers on the browser's GPU. */
async function squareAll(numbers: number[]): Promise<number[]> {
  const adapter = await navigator.gpu.requestAdapter();
  const device = await adapter!.requestDevice();
  const size = numbers.length * Float32Array.BYTES_PER_ELEMENT;
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const values = device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
  const readback = device.createBuffer({ size, usage: COPY_DST | MAP_READ });
  device.queue.writeBuffer(values, 0, new Float32Array(numbers));
  const pipeline = await device.createComputePipelineAsync({
    layout: "auto",
    compute: { module: device.createShaderModule({ code: SQUARE }) },
  });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer: values } }],
  });
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, bindGroup);
  pass.dispatchWorkgroups(Math.ceil(numbers.length / 64));
  pass.end();
  encoder.copyBufferToBuffer(values, 0, readback, 0, size);
  device.queue.submit([encoder.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const squares = [...new Float32Array(readback.getMappedRange())];
  device.destroy();
  return squares;
}

/** What the test calls from outside through `page.evaluate`. */
const casementPage = { describeAdapter, squareAll };
export type CasementPage = typeof casementPage;
Object.assign(globalThis, { casementPage });
