// A pickle is a program for a stack machine, and Python's own machine may call anything. This one calls nothing: of a
// short list of globals it builds descriptions of tensors, and whatever else a trainer put into its file (Namespaces,
// numpy's scalars, enums, paths) stays opaque, never built. Opcodes of protocols 2 to 5 as in CPython's
// Lib/pickletools.py, globals as in torch/_utils.py, torch/_tensor.py and torch/serialization.py.
import {
  CheckpointError,
  elementBytes,
  isCount,
  isStoredType,
  quote,
  type StoredType,
} from "../safetensors.ts";
import { mostDimensions, type View, viewFault } from "./tensor.ts";

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
  | Opaque
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

/** A function or class that the pickle names. */
export class Global {
  constructor(readonly name: string) {}
}

/**
 * What a function or class outside of the list would have made. It is never made; what it would have been given is kept,
 * for a tensor may be among it.
 */
export class Opaque {
  readonly given: Value[];

  /** @param name of the function or class */
  constructor(
    readonly name: string,
    ...given: Value[]
  ) {
    this.given = given;
  }
}

/** A storage that the pickle refers to, or part of one. */
export class PickledStorage {
  /** Element type; U8 for the untyped ones, else what PyTorch calls the storage. */
  readonly dtype: StoredType | string;
  /** Under which the container keeps the bytes. */
  readonly key: string;
  /** Elements of the whole storage. */
  readonly count: number;
  /** First element and number of elements of the part. */
  readonly part: { begin: number; count: number };

  constructor(dtype: string, key: string, count: number, part = { begin: 0, count }) {
    this.dtype = dtype;
    this.key = key;
    this.count = count;
    this.part = part;
  }
}

/** A tensor: a view of a storage. One that leaves its bounds has a fault, and is no harm until it is needed. */
export class PickledTensor {
  constructor(
    readonly storage: PickledStorage,
    readonly view: View,
    readonly fault: string | null,
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

/** Bytes per element of storages that no tensor is read from: a stream must still be walked past them. */
const otherStorages: Record<string, number> = {
  ComplexFloatStorage: 8,
  ComplexDoubleStorage: 16,
  QInt8Storage: 1,
  QUInt8Storage: 1,
  QInt32Storage: 4,
  QUInt4x2Storage: 1,
  QUInt2x4Storage: 1,
};

/** Classes whose instances are read as dictionaries. */
const dictionaries: ReadonlySet<string> = new Set([
  "collections.OrderedDict",
  "collections.defaultdict",
  "builtins.dict",
  "__builtin__.dict",
]);

/** What a tensor with attributes of its own may be of. */
const tensorTypes: ReadonlySet<string> = new Set([
  "torch.Tensor",
  "torch.nn.parameter.Parameter",
  "torch.nn.parameter.Buffer",
]);

/** A state dict takes some 30 opcodes per tensor. Each may make an object, so this bounds the memory too. */
const mostOpcodes = 400_000;
/** A trainer's record of its losses takes one opcode for each, which makes no more than a number. */
const mostNumbers = 1_000_000;
/** None, true, false, and numbers of fixed widths. */
const makesNumber: ReadonlySet<number> = new Set([0x4e, 0x88, 0x89, 0x4a, 0x4b, 0x4d, 0x47]);
/** Longest text. */
const longestText = 1 << 20;
/** Longest integer in bytes; torch's magic number has ten. */
const longestInteger = 256;

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

  /** A view of the bytes, so that an array of a foreign object's costs nothing. */
  raw(length: number | bigint): Uint8Array {
    const from = this.take(Number(length));
    return this.bytes.subarray(from, this.at);
  }

  /** Bytes that are no UTF-8, as Python 2's may be and those of undecodable paths are, stay bytes. */
  text(length: number | bigint): string | Uint8Array {
    if (length > longestText) throw new CheckpointError(`the pickle has a text of ${length} bytes: refused`);
    return decode(this.raw(length));
  }

  /** Up to the next line feed. */
  line(): string | Uint8Array {
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

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decode(bytes: Uint8Array): string | Uint8Array {
  try {
    return decoder.decode(bytes);
  } catch {
    return bytes;
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
opcode("2", (machine) => machine.push(machine.top()));
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
opcode(0x96, (machine, reader) => machine.push(reader.raw(reader.u64())));

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
  append(machine, [item]);
});
opcode("e", (machine) => {
  const items = machine.sinceMark();
  append(machine, items);
});
opcode("}", (machine) => machine.push(new PickledDict()));
opcode("s", (machine) => {
  const value = machine.pop();
  const key = machine.pop();
  setItems(machine, [key, value]);
});
opcode("u", (machine) => {
  const items = machine.sinceMark();
  setItems(machine, items);
});
opcode(0x8f, (machine) => machine.push(new Opaque("set")));
opcode(0x90, (machine) => {
  const items = machine.sinceMark();
  append(machine, items);
});
opcode(0x91, (machine) => {
  const items = machine.sinceMark();
  machine.push(new Opaque("frozenset", new PickledTuple(items)));
});

opcode("c", (machine, reader) => {
  const module = reader.line();
  machine.push(globalOf(module, reader.line()));
});
opcode(0x93, (machine) => {
  const name = machine.pop();
  machine.push(globalOf(machine.pop(), name));
});
// copyreg's numbers for classes, whose names stand outside of the pickle.
opcode(0x82, (machine, reader) => machine.push(new Global(`extension ${reader.u8()}`)));
opcode(0x83, (machine, reader) => machine.push(new Global(`extension ${reader.u16()}`)));
opcode(0x84, (machine, reader) => machine.push(new Global(`extension ${reader.u32()}`)));
opcode("R", (machine) => {
  const given = machine.pop();
  machine.push(rebuild(machine.pop(), given));
});
opcode(0x81, (machine) => {
  const given = machine.pop();
  machine.push(instance(machine.pop(), given));
});
opcode(0x92, (machine) => {
  const named = machine.pop();
  const given = machine.pop();
  machine.push(instance(machine.pop(), given, named));
});
opcode("o", (machine) => {
  const [type, ...given] = machine.sinceMark();
  machine.push(instance(type ?? null, new PickledTuple(given)));
});
// The attributes of an object. Those of an OrderedDict are torch's versions of modules, those of a tensor a trainer's
// own; nothing here needs either.
opcode("b", (machine) => {
  const state = machine.pop();
  const object = machine.top();
  if (object instanceof Opaque) object.given.push(state);
  else if (!(object instanceof PickledDict || object instanceof PickledTensor)) {
    throw new CheckpointError("the pickle gives attributes to what has none");
  }
});
opcode("Q", (machine) => machine.push(storageOf(machine.pop())));

function pushTuple(machine: Machine, count: number): void {
  const items = Array.from({ length: count }, () => machine.pop());
  machine.push(new PickledTuple(items.reverse()));
}

function append(machine: Machine, items: readonly Value[]): void {
  const list = machine.top();
  if (list instanceof PickledList) for (const item of items) list.items.push(item);
  else if (list instanceof Opaque) for (const item of items) list.given.push(item);
  else throw new CheckpointError("the pickle appends to what is no list");
}

function setItems(machine: Machine, items: readonly Value[]): void {
  const dict = machine.top();
  if (items.length % 2 !== 0) throw new CheckpointError("the pickle sets a key without a value");
  if (dict instanceof PickledDict) for (let i = 0; i < items.length; i += 2) dict.set(items[i], items[i + 1]);
  else if (dict instanceof Opaque) for (const item of items) dict.given.push(item);
  else throw new CheckpointError("the pickle sets items of what is no dictionary");
}

function globalOf(module: Value, name: Value): Global {
  if (typeof module !== "string" || typeof name !== "string") {
    throw new CheckpointError("the pickle asks for what is no name");
  }
  return new Global(`${module}.${name}`);
}

/** An instance of a class, described instead. */
function instance(type: Value, given: Value, named?: Value): Value {
  if (!(type instanceof Global || type instanceof Opaque)) {
    throw new CheckpointError("the pickle makes an instance of what is no class");
  }
  if (dictionaries.has(type.name)) return new PickledDict();
  return new Opaque(type.name, given, ...(named === undefined ? [] : [named]));
}

/** What Python would call, described instead. */
function rebuild(callable: Value, given: Value): Value {
  if (!(callable instanceof Global || callable instanceof Opaque) || !(given instanceof PickledTuple)) {
    throw new CheckpointError("the pickle calls what is no function");
  }
  const { name } = callable;
  const args = given.items;
  const [first] = args;
  const opaque = () => new Opaque(name, given);
  if (callable instanceof Opaque) return new Opaque(name, callable, given);
  if (dictionaries.has(name))
    return dictionaryOf(name === "collections.defaultdict" ? args[1] : first) ?? opaque();
  if (name === "torch.Size" && first instanceof PickledTuple) return first;
  if (name === "torch._utils._rebuild_parameter" || name === "torch._utils._rebuild_parameter_with_state") {
    return first instanceof PickledTensor ? first : opaque();
  }
  // A tensor that has attributes, or is of a class of its own: the function, the class, what the function is given.
  if (name === "torch._tensor._rebuild_from_type_v2") {
    const [, type, inner] = args;
    if (!(type instanceof Global)) return opaque();
    return tensorTypes.has(type.name) ? rebuild(first, inner) : new Opaque(type.name, given);
  }
  if (name === "torch._utils._rebuild_tensor_v2" || name === "torch._utils._rebuild_tensor") {
    if (!(first instanceof PickledStorage)) return opaque();
    const [storage, offset, shape, strides] = args as [PickledStorage, ...Value[]];
    const view = { offset: wholeNumber(offset), shape: wholeNumbers(shape), strides: wholeNumbers(strides) };
    const fault = isStoredType(storage.dtype)
      ? viewFault(view, storage.part.count)
      : `its storage is a torch.${storage.dtype}`;
    return new PickledTensor(storage, { ...view, offset: view.offset + storage.part.begin }, fault);
  }
  return opaque();
}

/** A dictionary of pairs, as Python 2 gives them to its OrderedDict; null for anything else that is given. */
function dictionaryOf(given: Value | undefined): PickledDict | null {
  const dict = new PickledDict();
  if (given === undefined) return dict;
  if (given instanceof PickledDict) return given;
  if (!(given instanceof PickledList)) return null;
  for (const pair of given.items) {
    if (!(pair instanceof PickledList || pair instanceof PickledTuple) || pair.items.length !== 2)
      return null;
    dict.set(pair.items[0], pair.items[1]);
  }
  return dict;
}

/** Bytes of a storage, null where its element type is not known. */
export function storageBytes({ dtype, count }: PickledStorage): number | null {
  const width = isStoredType(dtype) ? elementBytes[dtype] : otherStorages[dtype];
  return width === undefined ? null : count * width;
}

/**
 * `("storage", type, key, device, elements)`, and in old files a part of the storage behind it, or `("module", class,
 * ...)`, with which a stream tells where the class of a whole module stands.
 */
function storageOf(id: Value): PickledStorage | Global {
  const [kind, type, key, , count, part] = id instanceof PickledTuple ? id.items : [];
  if (kind === "module" && type instanceof Global) return type;
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
  if (!name.endsWith("Storage")) throw new CheckpointError(`the pickle has a storage of type ${type.name}`);
  const known = Object.hasOwn(storageTypes, name) ? storageTypes[name] : name;
  const dtype = name === "UntypedStorage" ? "U8" : known;
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
 * Runs a pickle. Throws PickleEnds where it goes on beyond `bytes`, and CheckpointError for an opcode that is not on the
 * list, for values that do not fit together, for over 400,000 opcodes or 1,000,000 numbers, and for a result that contains itself (what is
 * opaque may).
 * @returns the value, and where the next byte after the pickle is
 */
export function runPickle(bytes: Uint8Array, from = 0): { value: Value; end: number } {
  const reader = new Reader(bytes, from);
  const machine = new Machine();
  let numbers = 0;
  for (let done = 0; done < mostOpcodes && numbers < mostNumbers; ) {
    const code = reader.u8();
    if (makesNumber.has(code)) numbers++;
    else done++;
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
  const most = numbers < mostNumbers ? `${mostOpcodes} opcodes` : `${mostNumbers} numbers`;
  throw new CheckpointError(`the pickle has over ${most}: refused`);
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
