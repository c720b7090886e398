// What a random program consists of: a list of statements as data, so that it can be run by the engine and by float64
// alike, shortened, and printed. Names are given once and never again.
import type { Draw } from "../../cases/case.ts";
import type { DType } from "../../engine/index.ts";

/** A and B share a device, C has one of its own. */
export type EngineName = "A" | "B" | "C";

/** How a function returns several tensors. */
export type Form = "one" | "list" | "record";

/** What a caller may do wrong; each must be a TensorError at once, and the engine works on. */
export type Misuse =
  | "read"
  | "use"
  | "write"
  | "copy"
  | "view"
  | "clear"
  | "slice past the end"
  | "misfit"
  | "no gradient"
  | "foreign"
  /** Changes what a captured step has from the host. */
  | "constant"
  /** Reads what a captured step has not made yet. */
  | "early"
  /** Uses what may have no memory yet, as the step's kernels are perhaps still being compiled. */
  | "too early";

export type Statement =
  | {
      do: "input";
      out: string;
      engine: EngineName;
      shape: number[];
      dtype: DType;
      draw: Draw;
      seed: number;
      grad: boolean;
    }
  | { do: "zeros"; out: string; engine: EngineName; shape: number[]; dtype: DType }
  | { do: "op"; out: string; op: string; spec: object; inputs: string[]; shape: number[]; dtype: DType }
  /** Shares memory; recorded. */
  | { do: "reshape"; out: string; of: string; shape: number[] }
  /** Shares memory; not recorded. */
  | { do: "slice"; out: string; of: string; start: number; shape: number[] }
  | { do: "write"; to: string; draw: Draw; seed: number }
  | { do: "clear"; to: string }
  | { do: "clamp"; to: string; low: number; high: number }
  | { do: "copy" | "accumulate"; from: string; to: string }
  | { do: "scope" | "inference"; engine: EngineName; body: Statement[]; returns: string[]; form: Form }
  | { do: "checkpoint"; engine: EngineName; body: Statement[]; out: string }
  /** `seed` draws the gradient of `of`; without one it is 1. */
  | { do: "backward"; of: string; seed: number | null }
  | { do: "clearGrad"; of: string }
  /** Gives the gradient of a leaf a name. */
  | { do: "grad"; of: string; out: string }
  | { do: "keep" | "dispose"; of: string }
  /** Without `wait` the values are looked at later. */
  | { do: "read"; of: string; wait: boolean }
  | { do: "settle" }
  | { do: "flush" | "idle" | "trim"; engine: EngineName }
  /** The key of dropout from now on, also of programs captured before. */
  | { do: "seek"; key: number }
  | {
      do: "capture";
      program: string;
      engine: EngineName;
      body: Statement[];
      returns: string[];
      form: Form;
      inputs: string[];
      /** Whether it is waited for before anything else happens. */
      wait: boolean;
    }
  | { do: "run"; program: string; values: Record<string, { draw: Draw; seed: number }> }
  | { do: "end"; program: string }
  | { do: "tune" | "prepare"; engine: EngineName; body: Statement[]; returns: string[]; form: Form }
  /** Ends engine B and opens it anew. */
  | { do: "reopen" }
  | { do: "misuse"; how: Misuse; of: string; other?: string }
  | { do: "misuse of a program"; how: "run" | "length" | "name" | "needs"; program: string }
  /** A function that ends in an error of its own after its body. */
  | {
      do: "fail";
      within: "scope" | "inference" | "checkpoint" | "capture" | "tune";
      engine: EngineName;
      body: Statement[];
    }
  | {
      do: "refused capture";
      how: "reads" | "writes" | "is async" | "runs a program";
      engine: EngineName;
      of: string;
    };

/** The statements inside of a statement. */
export function bodyOf(statement: Statement): Statement[] | null {
  return "body" in statement ? statement.body : null;
}

/** A program as one reads it, close to the TypeScript that does the same. */
export function listing(program: readonly Statement[], indent = ""): string {
  return program.map((statement) => indent + line(statement, indent)).join("\n");
}

function line(s: Statement, indent: string): string {
  const block = (body: Statement[], returns: string) =>
    `() => {\n${listing(body, `${indent}  `)}\n${indent}  ${returns}\n${indent}}`;
  const returned = ({ returns, form }: { returns: string[]; form: Form }) =>
    form === "one"
      ? `return ${returns[0]};`
      : form === "list"
        ? `return [${returns}];`
        : `return { ${returns.join(", ")} };`;
  switch (s.do) {
    case "input":
      return `const ${s.out} = ${s.engine}.tensor(drawn(${JSON.stringify(s.draw)}, ${s.seed}), [${s.shape}], "${s.dtype}");${s.grad ? ` ${s.out}.requiresGrad = true;` : ""}`;
    case "zeros":
      return `const ${s.out} = ${s.engine}.zeros([${s.shape}], "${s.dtype}");`;
    case "op":
      return `const ${s.out} = ${s.op}(${s.inputs.join(", ")}); // ${JSON.stringify(s.spec)} gives ${s.dtype}[${s.shape}]`;
    case "reshape":
      return `const ${s.out} = reshape(${s.of}, [${s.shape}]);`;
    case "slice":
      return `const ${s.out} = engine.slice(${s.of}, ${s.start}, [${s.shape}]);`;
    case "write":
      return `engine.write(${s.to}, drawn(${s.seed}));`;
    case "clear":
      return `engine.clear(${s.to});`;
    case "clamp":
      return `clampInPlace(${s.to}, ${s.low}, ${s.high});`;
    case "copy":
      return `engine.copy(${s.from}, ${s.to});`;
    case "accumulate":
      return `accumulateInto(${s.to}, ${s.from});`;
    case "scope":
    case "inference":
      return `${s.engine}.${s.do}(${block(s.body, returned(s))});`;
    case "checkpoint":
      return `const ${s.out} = ${s.engine}.checkpoint(${block(s.body, `return ${s.out};`)});`;
    case "backward":
      return `backward(${s.of}${s.seed === null ? "" : `, { grad: drawn(${s.seed}) }`});`;
    case "clearGrad":
      return `clearGrad([${s.of}]);`;
    case "grad":
      return `const ${s.out} = ${s.of}.grad;`;
    case "keep":
      return `engine.keep(${s.of});`;
    case "dispose":
      return `${s.of}.dispose();`;
    case "read":
      return s.wait ? `await ${s.of}.read();` : `pending.push(${s.of}.read());`;
    case "settle":
      return "await Promise.all(pending);";
    case "flush":
      return `${s.engine}.flush();`;
    case "idle":
    case "trim":
      return `await ${s.engine}.${s.do}();`;
    case "seek":
      return `key.value = ${s.key};`;
    case "capture":
      return `const ${s.program} = ${s.wait ? "await " : ""}${s.engine}.capture(${block(s.body, returned(s))}, { ${s.inputs.join(", ")} });`;
    case "run":
      return `${s.program}.run({ ${Object.entries(s.values)
        .map(([name, { seed }]) => `${name}: drawn(${seed})`)
        .join(", ")} });`;
    case "end":
      return `${s.program}.dispose();`;
    case "tune":
    case "prepare":
      return `await ${s.engine}.${s.do}(${block(s.body, returned(s))});`;
    case "reopen":
      return "B.dispose(); B = await Engine.create({ device: A.device });";
    case "misuse":
      return `throws(() => "${s.how}" ${s.of}${s.other ? `, ${s.other}` : ""});`;
    case "misuse of a program":
      return `throws(() => ${s.program}.run()); // ${s.how}`;
    case "fail":
      return `throws(() => ${s.engine}.${s.within}(${block(s.body, "throw new Error();")}));`;
    case "refused capture":
      return `throws(() => ${s.engine}.capture(...)); // it ${s.how}: ${s.of}`;
  }
}
