// A pickle is a program for a stack machine, and Python's own machine may call anything. This one knows the opcodes
// that a dictionary of tensors needs and a short list of globals, which it never calls: it builds descriptions of
// tensors instead. Opcodes as in CPython's Lib/pickletools.py, globals as in torch/_utils.py and torch/serialization.py.
import { CheckpointError, isCount, quote, type StoredType } from "../safetensors.ts";
import { checkView, mostDimensions, type View } from "./tensor.ts";

/** A value of the pickle. Bytes stay bytes, numbers beyond 2^53 are BigInts. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickledList
  | PickledTuple
  | PickledDict
  | Global
  | PickledStorage
  | PickledTensor;

export class PickledList {
  readonly items: Value[] = [];
}

export class PickledTuple {
  constructor(readonly items: readonly Value[]) {}
}

/** Shared by all empty dictionaries: an opcode of one byte must not cost three objects. */
const none: readonly Value[] = Object.freeze([]);

/** dict and OrderedDict, as pairs in the order of the file. */
export class PickledDict {
  keys: readonly Value[] = none;
  values: readonly Value[] = none;

  set(key: Value, value: Value): void {
    if (this.keys === none) [this.keys, this.values] = [[], []];
    (this.keys as Value[]).push(key);
    (this.values as Value[]).push(value);
  }

  /** The value of a string key, the last one given, as in Python; undefined where there is none. */
  get(key: string): Value | undefined {
    return this.values[this.keys.lastIndexOf(key)];
  }
}

/** A name of the short list. */
export class Global {
  constructor(readonly name: string) {}
}

/** A storage that the pickle refers to, or part of one. */
export class PickledStorage {
  /** Element type; U8 for the untyped ones. */
  readonly dtype: StoredType;
  /** Under which the container keeps the bytes. */
  readonly key: string;
  /** Elements of the whole storage. */
  readonly count: number;
  /** First element and number of elements of the part. */
  readonly part: { begin: number; count: number };

  constructor(dtype: StoredType, key: string, count: number, part = { begin: 0, count }) {
    this.dtype = dtype;
    this.key = key;
    this.count = count;
    this.part = part;
  }
}

/** A tensor: a view of a storage, within its bounds. */
export class PickledTensor {
  constructor(
    readonly storage: PickledStorage,
    readonly view: View,
  ) {}
}

/** How torch.save calls storages: 0, 1, 2 in zip files, addresses in streams. */
const storageKey = /^\w{1,32}$/;

const storageTypes: Record<string, StoredType> = {
  FloatStorage: "F32",
  HalfStorage: "F16",
  BFloat16Storage: "BF16",
  DoubleStorage: "F64",
  LongStorage: "I64",
  IntStorage: "I32",
  ShortStorage: "I16",
  CharStorage: "I8",
  ByteStorage: "U8",
  BoolStorage: "BOOL",
};

/** Everything that a pickle may name. */
const globals: ReadonlySet<string> = new Set([
  "collections.OrderedDict",
  "torch.Size",
  "torch._utils._rebuild_parameter",
  "torch._utils._rebuild_tensor_v2",
  "torch.storage.UntypedStorage",
  ...Object.keys(storageTypes).map((name) => `torch.${name}`),
]);

/** A state dict takes some 30 opcodes per tensor. Each may make an object, so this bounds the memory too. */
const mostOpcodes = 200_000;
/** Longest text or list of bytes. */
const longestText = 1 << 20;
/** Longest integer in bytes; torch's magic number has ten. */
const longestInteger = 16;

/** The program goes on beyond the bytes at hand. */
export class PickleEnds extends CheckpointError {
  constructor() {
    super("truncated: the pickle ends before its STOP");
  }
}

/** The bytes of a pickle from front to back. */
class Reader {
  private readonly view: DataView;

  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
  ) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(length: number): number {
    const from = this.at;
    if (length > this.bytes.length - from) throw new PickleEnds();
    this.at += length;
    return from;
  }

  u8 = () => this.view.getUint8(this.take(1));
  u16 = () => this.view.getUint16(this.take(2), true);
  u32 = () => this.view.getUint32(this.take(4), true);
  i32 = () => this.view.getInt32(this.take(4), true);
  u64 = () => this.view.getBigUint64(this.take(8), true);
  f64 = () => this.view.getFloat64(this.take(8), false);

  raw(length: number | bigint): Uint8Array {
    if (length > longestText) throw new CheckpointError(`the pickle has a text of ${length} bytes: refused`);
    const from = this.take(Number(length));
    return this.bytes.subarray(from, this.at);
  }

  text(length: number | bigint): string {
    return decode(this.raw(length));
  }

  /** Up to the next line feed. */
  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) {
      if (this.bytes.length - this.at > longestText)
        throw new CheckpointError("the pickle has an endless name");
      throw new PickleEnds();
    }
    const text = this.text(end - this.at);
    this.take(1);
    return text;
  }

  /** Little-endian two's complement of so many bytes. */
  integer(length: number): number | bigint {
    if (length > longestInteger)
      throw new CheckpointError(`the pickle has an integer of ${length} bytes: refused`);
    let value = 0n;
    for (const byte of this.raw(length).toReversed()) value = (value << 8n) | BigInt(byte);
    value = BigInt.asIntN(8 * length, value);
    const narrow = Number(value);
    return Number.isSafeInteger(narrow) ? narrow : value;
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CheckpointError("the pickle has a text that is not valid UTF-8");
  }
}

/** Stack and memo of a run. The stack is in parts: MARK begins one, what refers to the mark ends it. */
class Machine {
  stack: Value[] = [];
  private readonly below: Value[][] = [];
  private readonly memo = new Map<number, Value>();

  push(value: Value): void {
    this.stack.push(value);
  }

  pop(): Value {
    const value = this.stack.pop();
    if (value === undefined) throw new CheckpointError("the pickle takes more from its stack than is there");
    return value;
  }

  top(): Value {
    const value = this.stack.at(-1);
    if (value === undefined) throw new CheckpointError("the pickle looks at an empty stack");
    return value;
  }

  mark(): void {
    this.below.push(this.stack);
    this.stack = [];
  }

  /** What has been pushed since the last mark, which goes. */
  sinceMark(): Value[] {
    const items = this.stack;
    const stack = this.below.pop();
    if (!stack) throw new CheckpointError("the pickle refers to a mark that it has not set");
    this.stack = stack;
    return items;
  }

  remember(key: number): void {
    this.memo.set(key, this.top());
  }

  rememberNext(): void {
    this.remember(this.memo.size);
  }

  recall(key: number): Value {
    const value = this.memo.get(key);
    if (value === undefined)
      throw new CheckpointError(`the pickle recalls ${key}, which it has not memorised`);
    return value;
  }
}

type Step = (machine: Machine, reader: Reader) => void;

/** What each opcode does; an opcode that is not here is refused. */
const opcodes = new Map<number, Step>();

function opcode(code: number | string, step: Step): void {
  opcodes.set(typeof code === "string" ? code.charCodeAt(0) : code, step);
}

opcode(0x80, (_, reader) => {
  const protocol = reader.u8();
  if (protocol > 5) throw new CheckpointError(`the pickle has protocol ${protocol}; 2 to 5 are read`);
});
// A frame only tells how far to read ahead.
opcode(0x95, (_, reader) => reader.u64());
opcode("(", (machine) => machine.mark());
opcode("0", (machine) => machine.pop());
opcode("1", (machine) => machine.sinceMark());

opcode("N", (machine) => machine.push(null));
opcode(0x88, (machine) => machine.push(true));
opcode(0x89, (machine) => machine.push(false));
opcode("J", (machine, reader) => machine.push(reader.i32()));
opcode("K", (machine, reader) => machine.push(reader.u8()));
opcode("M", (machine, reader) => machine.push(reader.u16()));
opcode(0x8a, (machine, reader) => machine.push(reader.integer(reader.u8())));
opcode(0x8b, (machine, reader) => machine.push(reader.integer(reader.u32())));
opcode("G", (machine, reader) => machine.push(reader.f64()));

opcode("X", (machine, reader) => machine.push(reader.text(reader.u32())));
opcode(0x8c, (machine, reader) => machine.push(reader.text(reader.u8())));
opcode(0x8d, (machine, reader) => machine.push(reader.text(reader.u64())));
// Python 2's str, which holds names in old checkpoints.
opcode("T", (machine, reader) => machine.push(reader.text(reader.u32())));
opcode("U", (machine, reader) => machine.push(reader.text(reader.u8())));
opcode("B", (machine, reader) => machine.push(reader.raw(reader.u32())));
opcode("C", (machine, reader) => machine.push(reader.raw(reader.u8())));
opcode(0x8e, (machine, reader) => machine.push(reader.raw(reader.u64())));

opcode("q", (machine, reader) => machine.remember(reader.u8()));
opcode("r", (machine, reader) => machine.remember(reader.u32()));
opcode(0x94, (machine) => machine.rememberNext());
opcode("h", (machine, reader) => machine.push(machine.recall(reader.u8())));
opcode("j", (machine, reader) => machine.push(machine.recall(reader.u32())));

opcode(")", (machine) => machine.push(new PickledTuple([])));
opcode(0x85, (machine) => pushTuple(machine, 1));
opcode(0x86, (machine) => pushTuple(machine, 2));
opcode(0x87, (machine) => pushTuple(machine, 3));
opcode("t", (machine) => {
  const items = machine.sinceMark();
  machine.push(new PickledTuple(items));
});
opcode("]", (machine) => machine.push(new PickledList()));
opcode("a", (machine) => {
  const item = machine.pop();
  listOnTop(machine).items.push(item);
});
opcode("e", (machine) => {
  const items = machine.sinceMark();
  const list = listOnTop(machine);
  for (const item of items) list.items.push(item);
});
opcode("}", (machine) => machine.push(new PickledDict()));
opcode("s", (machine) => {
  const value = machine.pop();
  const key = machine.pop();
  dictOnTop(machine).set(key, value);
});
opcode("u", (machine) => {
  const items = machine.sinceMark();
  const dict = dictOnTop(machine);
  if (items.length % 2 !== 0) throw new CheckpointError("the pickle sets a key without a value");
  for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
});

opcode("c", (machine, reader) => {
  const module = reader.line();
  machine.push(globalOf(module, reader.line()));
});
opcode(0x93, (machine) => {
  const name = machine.pop();
  machine.push(globalOf(machine.pop(), name));
});
opcode("R", (machine) => {
  const given = machine.pop();
  machine.push(rebuild(machine.pop(), given));
});
// The state of an OrderedDict: torch's versions of modules. Nothing here needs it.
opcode("b", (machine) => {
  machine.pop();
  dictOnTop(machine);
});
opcode("Q", (machine) => machine.push(storageOf(machine.pop())));

function pushTuple(machine: Machine, count: number): void {
  const items = Array.from({ length: count }, () => machine.pop());
  machine.push(new PickledTuple(items.reverse()));
}

function listOnTop(machine: Machine): PickledList {
  const list = machine.top();
  if (!(list instanceof PickledList)) throw new CheckpointError("the pickle appends to what is no list");
  return list;
}

function dictOnTop(machine: Machine): PickledDict {
  const dict = machine.top();
  if (!(dict instanceof PickledDict))
    throw new CheckpointError("the pickle sets items of what is no dictionary");
  return dict;
}

function globalOf(module: Value, name: Value): Global {
  const full =
    typeof module === "string" && typeof name === "string" ? `${module}.${name}` : "what is no name";
  if (!globals.has(full)) {
    throw new CheckpointError(
      `the pickle asks for ${quote(full)}; only tensors, their storages and dictionaries are read, and nothing is run`,
    );
  }
  return new Global(full);
}

/** What Python would call, described instead. */
function rebuild(callable: Value, given: Value): Value {
  if (!(callable instanceof Global) || !(given instanceof PickledTuple)) {
    throw new CheckpointError("the pickle calls what is no function of the list");
  }
  const { name } = callable;
  const args = given.items;
  if (name === "collections.OrderedDict" && args.length === 0) return new PickledDict();
  if (name === "torch.Size" && args[0] instanceof PickledTuple) return args[0];
  if (name === "torch._utils._rebuild_parameter" && args[0] instanceof PickledTensor) return args[0];
  if (name === "torch._utils._rebuild_tensor_v2" && args[0] instanceof PickledStorage) {
    const [storage, offset, shape, strides] = args;
    const view = { offset: wholeNumber(offset), shape: wholeNumbers(shape), strides: wholeNumbers(strides) };
    checkView(`a tensor of storage ${quote(storage.key)}`, view, storage.part.count);
    return new PickledTensor(storage, { ...view, offset: view.offset + storage.part.begin });
  }
  throw new CheckpointError(`the pickle calls ${name} with arguments that it does not take`);
}

/** `("storage", type, key, device, elements)`, and in old files a part of the storage behind it. */
function storageOf(id: Value): PickledStorage {
  const [kind, type, key, , count, part] = id instanceof PickledTuple ? id.items : [];
  if (
    kind !== "storage" ||
    !(type instanceof Global) ||
    typeof key !== "string" ||
    !storageKey.test(key) ||
    !isCount(count)
  ) {
    throw new CheckpointError("the pickle refers to something outside of it that is no storage");
  }
  const name = type.name.slice(type.name.lastIndexOf(".") + 1);
  const dtype = name === "UntypedStorage" ? "U8" : storageTypes[name];
  if (!dtype) throw new CheckpointError(`the pickle has a storage of type ${type.name}`);
  if (!(part instanceof PickledTuple)) return new PickledStorage(dtype, key, count);
  const [begin, length] = [wholeNumber(part.items[1]), wholeNumber(part.items[2])];
  if (begin + length > count) throw new CheckpointError(`storage ${quote(key)} has a part beyond its end`);
  return new PickledStorage(dtype, key, count, { begin, count: length });
}

function wholeNumber(value: Value | undefined): number {
  if (!isCount(value)) throw new CheckpointError("the pickle has a size that is no whole number");
  return value;
}

function wholeNumbers(value: Value | undefined): number[] {
  const items = value instanceof PickledTuple || value instanceof PickledList ? value.items : [undefined];
  // Checked before the copy: a pickle can use one long tuple for any number of tensors.
  if (items.length > mostDimensions)
    throw new CheckpointError(`the pickle has a tensor of ${items.length} dimensions`);
  return items.map(wholeNumber);
}

/**
 * Runs a pickle. Throws PickleEnds where it goes on beyond `bytes`, and CheckpointError for an opcode or a global that
 * is not on the lists, for values that do not fit together, for a tensor outside of its storage, for over 200,000
 * opcodes, and for a result that contains itself.
 * @returns the value, and where the next byte after the pickle is
 */
export function runPickle(bytes: Uint8Array, from = 0): { value: Value; end: number } {
  const reader = new Reader(bytes, from);
  const machine = new Machine();
  for (let done = 0; done < mostOpcodes; done++) {
    const code = reader.u8();
    if (code === 0x2e) {
      const value = machine.pop();
      refuseCycles(value);
      return { value, end: reader.at };
    }
    const step = opcodes.get(code);
    if (!step) {
      throw new CheckpointError(
        `the pickle has opcode 0x${code.toString(16).padStart(2, "0")}, which no state dict needs`,
      );
    }
    step(machine, reader);
  }
  throw new CheckpointError(`the pickle has over ${mostOpcodes} opcodes: refused`);
}

/** Goes through all that a value contains, each object once, without recursion: nesting may be deep. */
function refuseCycles(root: Value): void {
  const done = new Set<Value>();
  const open = new Set<Value>();
  const path: { value: Value; children: readonly Value[]; next: number }[] = [];
  const enter = (value: Value) => {
    const children = childrenOf(value);
    if (!children || done.has(value)) return;
    if (open.has(value)) throw new CheckpointError("the pickle has a value that contains itself");
    open.add(value);
    path.push({ value, children, next: 0 });
  };
  enter(root);
  for (let last = path.at(-1); last; last = path.at(-1)) {
    if (last.next < last.children.length) enter(last.children[last.next++]);
    else {
      path.pop();
      open.delete(last.value);
      done.add(last.value);
    }
  }
}

function childrenOf(value: Value): readonly Value[] | null {
  if (value instanceof PickledList || value instanceof PickledTuple) return value.items;
  if (value instanceof PickledDict) return value.keys.length > 0 ? [...value.keys, ...value.values] : null;
  return null;
}
