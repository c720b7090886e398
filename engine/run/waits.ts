// What waits for what in a replay. Devices order dispatches by the buffers that they bind, whatever the ranges, and a barrier
// lets nothing begin before all that was sent before it is done: dispatches run side by side between two barriers only. By
// Dawn's rule (Buffer::TrackUsageAndGetResourceBarrier in src/dawn/native/vulkan/BufferVk.cpp; wgpu's skip_barrier has the
// same) a use after a write waits, and so does each write of a buffer that was ever used: in a replay every dispatch that
// writes, wherever its tensors lie. What a step needs at least, its longest chain, is told beside it.

/** A piece of a buffer, and the memory of the step that it belongs to: there may be other tensors there at another time. */
export interface Piece {
  buffer: unknown;
  storage: unknown;
  begin: number;
  end: number;
}

/** What a command touches. */
export interface Touched {
  how: "dispatch" | "copy";
  /** The same for the parts of one dispatch, which don't wait for one another. */
  whole: unknown;
  reads: readonly Piece[];
  writes: readonly Piece[];
}

/** What a command waits for, by numbers of those before it. */
export interface Waits {
  /** Whether a barrier comes before it: then it begins a wave, and all before it are done. */
  barrier: boolean;
  /** Those whose results it reads or changes, without those that these wait for anyway. */
  results: number[];
  /** Those whose memory it gets, likewise; it could begin earlier if that were elsewhere. */
  places: number[];
}

/** Waits of a whole replay. */
export interface WaitsSummary {
  /** Dispatches, copies and clears. */
  commands: number;
  /** Of these, those that come after a barrier. */
  barriers: number;
  /** Barriers without which a command would run beside one that it has to wait for. */
  needed: number;
  /** Commands of the longest chain each of which has to wait for the one before. */
  depth: number;
  /** The same if no two tensors shared memory. */
  depthOfResults: number;
}

const overlap = (a: Piece, b: Piece) => a.buffer === b.buffer && a.begin < b.end && b.begin < a.end;

/** Whether commands have to stay in order: by "results" where they touch the same tensor's memory, by "places" where tensors share it. */
function conflictOf(a: Touched, b: Touched): "results" | "places" | null {
  if (a.whole === b.whole) return null;
  let found: "places" | null = null;
  for (const [some, others] of [
    [a.writes, b.reads],
    [a.writes, b.writes],
    [a.reads, b.writes],
  ] as const)
    for (const x of some)
      for (const y of others) {
        if (!overlap(x, y)) continue;
        if (x.storage === y.storage) return "results";
        found = "places";
      }
  return found;
}

/** Which commands of a replay come after a barrier, if it was replayed before. */
export function barriersOf(commands: readonly Touched[]): boolean[] {
  /** Of each buffer whether it was written, and how it was read since. */
  const states = new Map<unknown, { written: boolean; read: Set<string> }>();
  const replay = () =>
    commands.map(({ how, reads, writes }) => {
      let barrier = false;
      for (const buffer of new Set(reads.map(({ buffer }) => buffer))) {
        const state = states.get(buffer) ?? { written: false, read: new Set() };
        states.set(buffer, state);
        if (state.read.has(how)) continue;
        state.read.add(how);
        barrier ||= state.written;
      }
      for (const buffer of new Set(writes.map(({ buffer }) => buffer))) {
        barrier ||= states.has(buffer);
        states.set(buffer, { written: true, read: new Set() });
      }
      return barrier;
    });
  replay();
  return replay();
}

/** What each command of a replay waits for. */
export function waitsOf(commands: readonly Touched[]): Waits[] {
  const barriers = barriersOf(commands);
  /** For each command all that it has to come after, as bits. */
  const words = Math.ceil(commands.length / 32);
  const before: Uint32Array[] = [];
  return commands.map((command, i) => {
    const own = new Uint32Array(words);
    const waits: Waits = { barrier: barriers[i]!, results: [], places: [] };
    for (let other = i - 1; other >= 0; other--) {
      if ((own[other >> 5]! >> (other & 31)) & 1) continue;
      const conflict = conflictOf(commands[other]!, command);
      if (!conflict) continue;
      waits[conflict].push(other);
      own[other >> 5]! |= 1 << (other & 31);
      before[other]!.forEach((word, at) => {
        own[at]! |= word;
      });
    }
    before.push(own);
    return waits;
  });
}

/** The numbers of a replay whose commands wait so. */
export function summaryOf(commands: readonly Touched[], waits: readonly Waits[]): WaitsSummary {
  let needed = 0;
  let wave = 0;
  waits.forEach(({ barrier }, i) => {
    if (!barrier) return;
    if (commands.slice(wave, i).some((other) => conflictOf(other, commands[i]!))) needed++;
    wave = i;
  });
  const tensors = commands.map((command) => {
    const alone = (pieces: readonly Piece[]) => pieces.map((piece) => ({ ...piece, buffer: piece.storage }));
    return { ...command, reads: alone(command.reads), writes: alone(command.writes) };
  });
  const depth = (all: readonly Waits[]) => {
    const needs = all.map(({ results, places }) => [...results, ...places]);
    return Math.max(0, ...chainsOf(needs, () => 1));
  };
  return {
    commands: commands.length,
    barriers: waits.filter(({ barrier }) => barrier).length,
    needed,
    depth: depth(waits),
    depthOfResults: depth(waitsOf(tensors)),
  };
}

/** For each command how much its longest chain takes, itself the last, by the numbers of those that each waits for. */
export function chainsOf(needs: readonly (readonly number[])[], cost: (command: number) => number): number[] {
  const chains: number[] = [];
  needs.forEach((others, i) => {
    chains.push(cost(i) + Math.max(0, ...others.map((other) => chains[other]!)));
  });
  return chains;
}
