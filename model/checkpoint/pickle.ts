// A pickle is a program for a stack machine, and Python's own machine may call anything. This one calls nothing: of a
// short list of globals it builds descriptions of tensors, and whatever else a trainer put into its file (Namespaces,
// numpy's scalars, enums, paths) stays opaque, never built, and of long records only a beginning is kept. Opcodes of protocols 2 to 5 as in CPython's
// Lib/pickletools.py, globals as in torch/_utils.py, torch/_tensor.py and torch/serialization.py.
import {
  CheckpointError,
  elementBytes,
  isCount,
  isStoredType,
  quote,
  type StoredType,
} from "../safetensors.ts";
import { type ByteSource, readBytes } from "./source.ts";
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
  /** Whether it no longer counts, see `drop`. */
  dropped = false;

  constructor(public items: readonly Value[]) {}
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

/** A text or bytes too long to be kept: an array of numpy's, a log. */
export class Skipped extends Opaque {}

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

/** Objects that a pickle may hold at once; a state dict has some ten per tensor. */
const mostObjects = 400_000;
/** Values that they may hold, that may be memorised, and that may be on the stack. */
const mostHeld = 2_000_000;
/** Of a longer list, set, tuple or dictionary what can hold no tensor is dropped: losses, paths, records of steps. */
const longestRecord = 100;
/** The same of dictionaries, whose keys are told. */
const longestDict = 20_000;
/** And of tuples, which come whole. */
const longestTuple = 200_000;
/** Values within a value of a long list that are looked at for tensors, and how deep. */
const mostWithin = 2000;
const deepestWithin = 6;
/** Longest text that is kept, in bytes; no tensor's name comes near it. */
const longestText = 4096;
/** Bytes that are read at a time, and the fewest that any opcode finds. */
const windowBytes = 1 << 18;
const leastBytes = 4 * longestText;
/** Memorised values in one array. */
const memoBlock = 1 << 14;
/** Longest integer in bytes; torch's magic number has ten. */
const longestInteger = 256;

/** The bytes of a pickle from front to back, through a window that `fill` moves. */
class Reader {
  private bytes: Uint8Array = new Uint8Array(0);
  private view: DataView = new DataView(this.bytes.buffer);
  /** Where the window begins in the source, and the next byte in the window; beyond its end after a long text. */
  private begin: number;
  private next = 0;

  constructor(
    private readonly source: ByteSource,
    from: number,
  ) {
    this.begin = from;
  }

  /** Of the next byte in the source. */
  get at(): number {
    return this.begin + this.next;
  }

  /** Whether the window may end within the next opcode. */
  get low(): boolean {
    return this.next + leastBytes > this.bytes.length && this.begin + this.bytes.length < this.source.size;
  }

  async fill(): Promise<void> {
    const length = Math.min(windowBytes, this.source.size - this.at);
    const bytes = await readBytes(this.source, this.at, length, "the pickle");
    [this.begin, this.next] = [this.at, 0];
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(length: number): number {
    const from = this.next;
    if (length > this.source.size - this.at) {
      throw new CheckpointError("truncated: the pickle ends before its STOP");
    }
    this.next += length;
    return from;
  }

  u8 = () => this.view.getUint8(this.take(1));
  u16 = () => this.view.getUint16(this.take(2), true);
  u32 = () => this.view.getUint32(this.take(4), true);
  i32 = () => this.view.getInt32(this.take(4), true);
  u64 = () => this.view.getBigUint64(this.take(8), true);
  f64 = () => this.view.getFloat64(this.take(8), false);

  /** A copy of a few bytes, which the window does not outlive. */
  private few(length: number): Uint8Array {
    const from = this.take(length);
    return this.bytes.slice(from, this.next);
  }

  raw(length: number | bigint): Uint8Array | Skipped {
    return length > longestText ? this.skip(length, "") : this.few(Number(length));
  }

  /** Bytes that are no UTF-8, as Python 2's may be and those of undecodable paths are, stay bytes. */
  text(length: number | bigint): string | Uint8Array | Skipped {
    return length > longestText ? this.skip(length, "a text of ") : decode(this.few(Number(length)));
  }

  private skip(length: number | bigint, what: string): Skipped {
    this.take(Number(length));
    return new Skipped(`${what}${length} bytes`);
  }

  /** Up to the next line feed. */
  line(): string | Uint8Array {
    const length = this.bytes.subarray(this.next, this.next + longestText + 1).indexOf(10);
    if (length < 0 && this.source.size - this.at > longestText)
      throw new CheckpointError("the pickle has an endless name");
    const text = decode(this.few(length < 0 ? this.source.size - this.at + 1 : length));
    this.take(1);
    return text;
  }

  /** Little-endian two's complement of so many bytes. */
  integer(length: number): number | bigint {
    if (length > longestInteger)
      throw new CheckpointError(`the pickle has an integer of ${length} bytes: refused`);
    let value = 0n;
    for (const byte of this.few(length).toReversed()) value = (value << 8n) | BigInt(byte);
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
  /** Values in the parts below. */
  private lower = 0;
  /** What is memorised under 0, 1, 2 and so on, in blocks; a Map takes five times the memory and has the odd keys. */
  private readonly memo: Value[][] = [];
  private memorised = 0;
  private readonly odd = new Map<number, Value>();
  /** Objects and what they hold. */
  private objects = 0;
  private held = 0;

  /** `longestList`: items of a list from which on those without a tensor are left out. */
  constructor(readonly longestList: number) {}

  push(value: Value): void {
    // Only a tuple that no state dict has comes so long.
    if (this.stack.length >= longestTuple && isLeaf(value)) return;
    if (this.lower + this.stack.length >= mostHeld) throw tooMany(`${mostHeld} values at once`);
    this.stack.push(value);
  }

  /** Pushes an object that was not there before. */
  make(value: Value): void {
    this.count(1, value instanceof PickledTuple ? value.items.length : 0);
    this.push(value);
  }

  /** Objects, and values that they hold, that there are more or fewer. */
  count(objects: number, held: number): void {
    this.objects += objects;
    this.held += held;
    if (this.objects > mostObjects) throw tooMany(`${mostObjects} objects`);
    if (this.held > mostHeld) throw tooMany(`${mostHeld} values in them`);
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
    if (this.below.length >= mostObjects) throw tooMany(`${mostObjects} marks`);
    this.below.push(this.stack);
    this.lower += this.stack.length;
    this.stack = [];
  }

  /** What has been pushed since the last mark, which goes. */
  sinceMark(): Value[] {
    const items = this.stack;
    const stack = this.below.pop();
    if (!stack) throw new CheckpointError("the pickle refers to a mark that it has not set");
    this.stack = stack;
    this.lower -= stack.length;
    return items;
  }

  remember(key: number): void {
    const value = this.top();
    if (key > this.memorised || this.odd.has(key)) this.odd.set(key, value);
    else {
      if (key === this.memorised && this.memorised++ % memoBlock === 0) this.memo.push([]);
      this.memo[Math.floor(key / memoBlock)][key % memoBlock] = value;
    }
    if (this.memorised > mostHeld || this.odd.size > mostObjects)
      throw tooMany(`${this.memorised > mostHeld ? mostHeld : mostObjects} memorised values`);
  }

  rememberNext(): void {
    this.remember(this.memorised + this.odd.size);
  }

  recall(key: number): Value {
    const value =
      key < this.memorised ? this.memo[Math.floor(key / memoBlock)][key % memoBlock] : this.odd.get(key);
    if (value === undefined)
      throw new CheckpointError(`the pickle recalls ${key}, which it has not memorised`);
    return value;
  }
}

const tooMany = (what: string) => new CheckpointError(`the pickle has over ${what}: refused`);

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

opcode(")", (machine) => machine.make(new PickledTuple([])));
opcode(0x85, (machine) => pushTuple(machine, 1));
opcode(0x86, (machine) => pushTuple(machine, 2));
opcode(0x87, (machine) => pushTuple(machine, 3));
opcode("t", (machine) => {
  const items = machine.sinceMark();
  machine.make(new PickledTuple(items));
});
opcode("]", (machine) => machine.make(new PickledList()));
opcode("a", (machine) => {
  const item = machine.pop();
  append(machine, [item]);
});
opcode("e", (machine) => {
  const items = machine.sinceMark();
  append(machine, items);
});
opcode("}", (machine) => machine.make(new PickledDict()));
opcode("s", (machine) => {
  const value = machine.pop();
  const key = machine.pop();
  setItems(machine, [key, value]);
});
opcode("u", (machine) => {
  const items = machine.sinceMark();
  setItems(machine, items);
});
opcode(0x8f, (machine) => machine.make(new Opaque("set")));
opcode(0x90, (machine) => {
  const items = machine.sinceMark();
  append(machine, items);
});
opcode(0x91, (machine) => {
  const items = machine.sinceMark();
  machine.make(new Opaque("frozenset", new PickledTuple(items)));
});

opcode("c", (machine, reader) => {
  const module = reader.line();
  machine.make(globalOf(module, reader.line()));
});
opcode(0x93, (machine) => {
  const name = machine.pop();
  machine.make(globalOf(machine.pop(), name));
});
// copyreg's numbers for classes, whose names stand outside of the pickle.
opcode(0x82, (machine, reader) => machine.make(new Global(`extension ${reader.u8()}`)));
opcode(0x83, (machine, reader) => machine.make(new Global(`extension ${reader.u16()}`)));
opcode(0x84, (machine, reader) => machine.make(new Global(`extension ${reader.u32()}`)));
opcode("R", (machine) => {
  const given = machine.pop();
  machine.make(rebuild(machine.pop(), given));
});
opcode(0x81, (machine) => {
  const given = machine.pop();
  machine.make(instance(machine.pop(), given));
});
opcode(0x92, (machine) => {
  const named = machine.pop();
  const given = machine.pop();
  machine.make(instance(machine.pop(), given, named));
});
opcode("o", (machine) => {
  const [type, ...given] = machine.sinceMark();
  machine.make(instance(type ?? null, new PickledTuple(given)));
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
opcode("Q", (machine) => machine.make(storageOf(machine.pop())));

function pushTuple(machine: Machine, count: number): void {
  const items = Array.from({ length: count }, () => machine.pop());
  machine.make(new PickledTuple(items.reverse()));
}

function append(machine: Machine, items: readonly Value[]): void {
  const list = machine.top();
  if (!(list instanceof PickledList || list instanceof Opaque))
    throw new CheckpointError("the pickle appends to what is no list");
  keep(machine, list instanceof PickledList ? list.items : list.given, items);
}

/** Adds items; where there are many already, only those that may hold a tensor. */
function keep(machine: Machine, list: Value[], items: readonly Value[]): void {
  for (const item of items) {
    if (list.length >= machine.longestList && drop(machine, item)) continue;
    machine.count(0, 1);
    list.push(item);
  }
}

function setItems(machine: Machine, items: readonly Value[]): void {
  const dict = machine.top();
  // Some are missing then, and the rest are no pairs.
  if (items.length >= longestTuple) throw tooMany(`${longestTuple} keys and values in a row`);
  if (items.length % 2 !== 0) throw new CheckpointError("the pickle sets a key without a value");
  if (dict instanceof Opaque) {
    keep(machine, dict.given, items);
    return;
  }
  if (!(dict instanceof PickledDict)) {
    throw new CheckpointError("the pickle sets items of what is no dictionary");
  }
  for (let i = 0; i < items.length; i += 2) {
    if (dict.keys.length >= longestDict && drop(machine, items[i + 1])) continue;
    machine.count(0, 2);
    dict.set(items[i], items[i + 1]);
  }
}

/** Whether a value holds nothing and is no tensor, whatever comes later. */
function isLeaf(value: Value): boolean {
  return (
    value === null || typeof value !== "object" || value instanceof Global || value instanceof Uint8Array
  );
}

/**
 * Whether a value can be done without, since no tensor is within. It is emptied then, for the memo may hold it, and
 * counts no more. A value that would take long to tell is kept.
 */
function drop(machine: Machine, value: Value): boolean {
  if (isLeaf(value)) return true;
  const within = [{ value, depth: 0 }];
  for (let at = 0; at < within.length; at++) {
    const { value, depth } = within[at];
    if (isLeaf(value)) continue;
    const tensor = value instanceof PickledTensor || value instanceof PickledStorage;
    const children = tensor ? none : childrenOf(value);
    if (tensor || depth > deepestWithin || within.length + children.length > mostWithin) {
      // So that looking takes no more time than making.
      machine.count(1 + within.length / 10, 0);
      return false;
    }
    for (const child of children) within.push({ value: child, depth: depth + 1 });
  }
  for (const { value } of within) {
    if (isLeaf(value)) continue;
    const held = childrenOf(value).length;
    if (value instanceof PickledTuple) {
      if (value.dropped) continue;
      value.dropped = true;
      // One of whole numbers may be a shape, too.
      if (!value.items.every(isCount)) value.items = none;
    } else if (held === 0) continue;
    else if (value instanceof PickledDict) [value.keys, value.values] = [none, none];
    else if (value instanceof PickledList) value.items.length = 0;
    else if (value instanceof Opaque) value.given.length = 0;
    machine.count(-1, -held);
  }
  return true;
}

function childrenOf(value: Value): readonly Value[] {
  if (value instanceof PickledDict) return [...value.keys, ...value.values];
  if (value instanceof PickledList || value instanceof PickledTuple) return value.items;
  return value instanceof Opaque ? value.given : none;
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
 * Runs a pickle. Throws CheckpointError where the source ends before it, for an opcode that is not on the list, for
 * values that do not fit together, and for over 400,000 objects or 2,000,000 values at once. Of a list or set over 100
 * long, a dictionary over 20,000 and a tuple over 200,000, what holds no tensor is left out; a value may contain itself.
 * @param whole lists keep what they hold, as it is needed
 * @returns the value, and where the next byte after the pickle is
 */
export async function runPickle(
  source: ByteSource,
  from = 0,
  whole = false,
): Promise<{ value: Value; end: number }> {
  const reader = new Reader(source, from);
  const machine = new Machine(whole ? Number.POSITIVE_INFINITY : longestRecord);
  for (;;) {
    if (reader.low) await reader.fill();
    const code = reader.u8();
    if (code === 0x2e) return { value: machine.pop(), end: reader.at };
    const step = opcodes.get(code);
    if (!step) {
      throw new CheckpointError(
        `the pickle has opcode 0x${code.toString(16).padStart(2, "0")}, which no state dict needs`,
      );
    }
    step(machine, reader);
  }
}
