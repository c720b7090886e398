// onnxruntime for Node, which trains nothing: the forward passes of the op table, each a model of a few nodes built in
// memory. `run` takes its first input from the host and brings the result back; weights stay with the session. The
// argument names the execution provider, webgpu or cpu.
import ort from "onnxruntime-node";
import protobuf from "protobufjs";
import type { PeerOp } from "../../cases/case.ts";
import type { Subject } from "../../cases/timing.ts";
import { type Job, type Outputs, serve, sideOf, type Values } from "../protocol.ts";

process.env.XDG_RUNTIME_DIR ??= "/tmp";
const provider = process.argv[2] as "webgpu" | "cpu";

/** The part of onnx.proto that such models need. */
const schema = protobuf
  .parse(
    `
syntax = "proto3";
message Attribute { string name = 1; float f = 2; int64 i = 3; repeated int64 ints = 8; int32 type = 20; }
message Node { repeated string input = 1; repeated string output = 2; string op_type = 4; repeated Attribute attribute = 5; string domain = 7; }
message Tensor { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
message Dimension { int64 dim_value = 1; }
message Shape { repeated Dimension dim = 1; }
message TensorType { int32 elem_type = 1; Shape shape = 2; }
message Type { TensorType tensor_type = 1; }
message ValueInfo { string name = 1; Type type = 2; }
message Graph { repeated Node node = 1; string name = 2; repeated Tensor initializer = 5; repeated ValueInfo input = 11; repeated ValueInfo output = 12; }
message OperatorSet { string domain = 1; int64 version = 2; }
message Model { int64 ir_version = 1; Graph graph = 7; repeated OperatorSet opset_import = 8; }
`,
    { keepCase: true },
  )
  .root.lookupType("Model");

const float = 1;
const int64 = 7;
const attributeTypes = { f: 1, i: 2, ints: 7 } as const;

type Attributes = Record<string, { f: number } | { i: number } | { ints: number[] }>;

function node(op_type: string, input: string[], output: string[], attributes: Attributes = {}, domain = "") {
  const attribute = Object.entries(attributes).map(([name, value]) => ({
    name,
    ...value,
    type: attributeTypes[Object.keys(value)[0] as keyof typeof attributeTypes],
  }));
  return { op_type, input, output, attribute, domain };
}

const info = (name: string, shape?: readonly number[]) => ({
  name,
  type: {
    tensor_type: {
      elem_type: float,
      ...(shape && { shape: { dim: shape.map((dim_value) => ({ dim_value })) } }),
    },
  },
});

const bytes = (array: Float32Array | BigInt64Array) =>
  new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

interface Initializer {
  name: string;
  shape: readonly number[];
  values: Float32Array | BigInt64Array;
}

function build(
  nodes: ReturnType<typeof node>[],
  fed: readonly Values[],
  initializers: readonly Initializer[],
): Uint8Array {
  return schema
    .encode(
      schema.create({
        ir_version: 9,
        opset_import: [
          { domain: "", version: 20 },
          { domain: "com.microsoft", version: 1 },
        ],
        graph: {
          name: "bench",
          node: nodes,
          initializer: initializers.map(({ name, shape, values }) => ({
            name,
            dims: shape,
            data_type: values instanceof Float32Array ? float : int64,
            raw_data: bytes(values),
          })),
          input: fed.map(({ name, shape }) => info(name, shape)),
          output: [info("y")],
        },
      }),
    )
    .finish();
}

/** The matrix with rows and columns exchanged: exporters store weights as their product wants them. */
function transposed({ shape, values, ...rest }: Values): Values {
  const [rows, columns] = shape as [number, number];
  const turned = Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
  return { ...rest, shape: [columns, rows], values: turned };
}

/** A model for an operation, and which of its inputs are fed. */
function model(peer: PeerOp, inputs: readonly Values[]): { bytes: Uint8Array; fed: readonly Values[] } {
  const [first, ...others] = inputs as [Values, ...Values[]];
  const of = (nodes: ReturnType<typeof node>[], initializers: Initializer[] = others, fed = [first]) => ({
    bytes: build(nodes, fed, initializers),
    fed,
  });
  switch (peer.op) {
    case "matmul": {
      const { transposeA, transposeB, scale } = peer;
      const flat = first.shape.length === 2;
      if (flat && (transposeA || transposeB)) {
        const how = {
          transA: { i: Number(transposeA) },
          transB: { i: Number(transposeB) },
          alpha: { f: scale },
        };
        return of([node("Gemm", ["a", "b"], ["y"], how)]);
      }
      const last = first.shape.length - 1;
      const perm = {
        perm: { ints: [...first.shape.keys()].map((d) => (d < last - 1 ? d : 2 * last - 1 - d)) },
      };
      const nodes = [];
      if (transposeA) nodes.push(node("Transpose", ["a"], ["ta"], perm));
      if (transposeB) nodes.push(node("Transpose", ["b"], ["tb"], perm));
      nodes.push(node("MatMul", [transposeA ? "ta" : "a", transposeB ? "tb" : "b"], ["y"]));
      if (scale !== 1) throw new Error("scaled products are not built");
      return of(nodes);
    }
    case "linear": {
      const [weight, ...rest] = others as [Values, ...Values[]];
      const steps: [string, string[]][] = [["MatMul", [weight.name]]];
      if (rest.some(({ name }) => name === "bias")) steps.push(["Add", ["bias"]]);
      if (peer.gelu) steps.push(["Gelu", []]);
      if (rest.some(({ name }) => name === "residual")) steps.push(["Add", ["residual"]]);
      const nodes = steps.map(([type, more], i) =>
        node(type, [i === 0 ? first.name : `h${i}`, ...more], [i === steps.length - 1 ? "y" : `h${i + 1}`]),
      );
      return of(nodes, [transposed(weight), ...rest]);
    }
    case "conv2d": {
      const how = {
        strides: { ints: [peer.stride, peer.stride] },
        pads: { ints: new Array<number>(4).fill(peer.padding) },
        group: { i: peer.groups },
      };
      return of([node("Conv", ["x", "weight"], ["y"], how)]);
    }
    case "softmax":
      return of([node("Softmax", ["x"], ["y"], { axis: { i: -1 } })]);
    case "gelu":
      return of([node("Gelu", ["x"], ["y"])]);
    case "layernorm":
      return of([
        node("LayerNormalization", ["x", "gamma", "beta"], ["y"], {
          axis: { i: -1 },
          epsilon: { f: peer.eps },
        }),
      ]);
    case "attention": {
      const self = inputs.length === 1;
      const width = first.shape[2]! / (self ? 3 : 1);
      const parts = self ? ["q", "k", "v"] : ["k", "v"];
      const sizes = {
        name: "sizes",
        shape: [parts.length],
        values: BigInt64Array.from(parts, () => BigInt(width)),
      };
      const size = width / peer.heads;
      const heads = {
        name: "heads",
        shape: [4],
        values: BigInt64Array.from([0, 0, peer.heads, size], BigInt),
      };
      const joined = { name: "joined", shape: [3], values: BigInt64Array.from([0, 0, width], BigInt) };
      const factor = { name: "factor", shape: [], values: Float32Array.of(1 / Math.sqrt(size)) };
      const exchange = { perm: { ints: [0, 2, 1, 3] } };
      // Not the fused MultiHeadAttention: on subgroups of 8, llvmpipe's, its WebGPU kernel gives wrong results.
      const nodes = [
        node("Split", [self ? "qkv" : "kv", "sizes"], parts, { axis: { i: -1 } }),
        ...["q", "k", "v"].map((part) => node("Reshape", [part, "heads"], [`${part}1`])),
        node("Transpose", ["q1"], ["q2"], exchange),
        node("Transpose", ["k1"], ["k2"], { perm: { ints: [0, 2, 3, 1] } }),
        node("Transpose", ["v1"], ["v2"], exchange),
        node("Mul", ["q2", "factor"], ["q3"]),
        node("MatMul", ["q3", "k2"], ["scores"]),
        node("Softmax", ["scores"], ["weights"], { axis: { i: -1 } }),
        node("MatMul", ["weights", "v2"], ["attended"]),
        node("Transpose", ["attended"], ["exchanged"], exchange),
        node("Reshape", ["exchanged", "joined"], ["y"]),
      ];
      return of(nodes, [sizes, heads, joined, factor], [...inputs]);
    }
  }
}

async function op(job: Extract<Job, { kind: "op" }>): Promise<{ subject: Subject; outputs: Outputs } | null> {
  if (!job.peer || job.weights) return null;
  const { bytes, fed } = model(job.peer, job.inputs);
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    // Nodes that the provider lacks would run on the CPU without a word.
    ...(provider === "webgpu" && { extra: { session: { disable_cpu_ep_fallback: "1" } } }),
    logSeverityLevel: 3,
  });
  const feeds = Object.fromEntries(
    fed.map(({ name, values, shape }) => [name, new ort.Tensor("float32", values, shape)]),
  );
  const once = async () => (await session.run(feeds)).y!;
  const outputs = { result: Float32Array.from((await once()).data as Float32Array) };
  const subject = {
    async run() {
      await once();
    },
    // `run` has waited.
    wait: async () => {},
    dispose: () => session.release(),
  };
  return { subject, outputs };
}

serve(
  sideOf(
    async () => null,
    async (job) => (job.kind === "op" ? op(job) : null),
  ),
);
