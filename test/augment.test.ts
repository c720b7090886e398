// Pictures as they are seen while training: each change against torchvision's own results (reference/augment.py) or a plain
// loop, what is drawn, and texts that forbid a mirror image.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RandomStreams, randomBits, uniform } from "../engine/index.ts";
import { specialTokens, Tokenizer } from "../model/tokenizer.ts";
import { parseConfig } from "../train/config.ts";
import {
  adjustments,
  augmentPictures,
  augments,
  cropPicture,
  drawCrop,
  drawMove,
  jitterPicture,
  mirrorPicture,
  movePicture,
  type Rectangle,
  sidedPictures,
  speaksOfSides,
} from "../train/data/augment.ts";
import { AugmentThreads } from "../train/data/augment-threads.ts";
import { inMemory } from "../train/data/memory.ts";
import { packerOf } from "../train/run/trainer.ts";

test("a picture moves right and down, its edges fill the gap", () => {
  const size = 4;
  const pixels = Uint8Array.from({ length: 3 * size * size }, (_, i) => (i * 37) % 251);
  for (const [dx, dy] of [
    [0, 0],
    [1, -2],
    [-3, 1],
  ] as const) {
    const out = new Uint8Array(pixels.length);
    movePicture(pixels, size, [dx, dy], out);
    const edge = (at: number) => Math.min(3, Math.max(0, at));
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let c = 0; c < 3; c++) {
          assert.is(out[(y * size + x) * 3 + c], pixels[(edge(y - dy) * size + edge(x - dx)) * 3 + c]);
        }
  }
});

test("moves are the same for the same key, within the bounds, and as frequent as asked", () => {
  const key = { key: 11, stream: 3 };
  const moves = Array.from({ length: 4000 }, (_, i) => drawMove({ shift: 2, share: 0.25 }, key, i));
  assert.equal(drawMove({ shift: 2, share: 0.25 }, key, 1234), moves[1234]);
  const seen = new Set(moves.flat());
  assert.equal([...seen].sort(), [-1, -2, 0, 1, 2]);
  // A quarter is drawn, and 24 of the 25 offsets move the picture.
  const moved = moves.filter(([dx, dy]) => dx !== 0 || dy !== 0).length / moves.length;
  assert.ok(Math.abs(moved - 0.24) < 0.03, `${moved}`);
});

interface Fixture {
  size: number;
  pixels: number[];
  adjusted: { name: keyof typeof adjustments; factor: number; shades: number[] }[];
  parts: {
    size: number;
    scale: [number, number];
    ratio: [number, number];
    draws: number[];
    part: Rectangle;
  }[];
  crops: { filter: "bicubic" | "bilinear"; part: Rectangle; pixels: number[] }[];
  mirrored: number[];
}
const fixture: Fixture = JSON.parse(readFileSync(new URL("fixtures/augment.json", import.meta.url), "utf8"));
const pixels = Uint8Array.from(fixture.pixels);

test("colours are adjusted as torchvision adjusts them", () => {
  for (const { name, factor, shades } of fixture.adjusted) {
    // torchvision turns hues in f32.
    const most = name === "hue" ? 1e-6 : 1e-12;
    const mine = Float64Array.from(pixels, (byte) => byte / 255);
    adjustments[name](mine, factor);
    shades.forEach((shade, i) => {
      assert.ok(Math.abs(mine[i]! - shade) < most, `${name} ${factor}, ${i}: ${mine[i]}, not ${shade}`);
    });
  }
});

test("the part that is taken is the one that torchvision takes", () => {
  const fallbacks = fixture.parts.filter(({ ratio: [low, high] }) => low > 1 || high < 1);
  assert.ok(fallbacks.length > 10);
  for (const { size, scale, ratio, draws, part } of fixture.parts)
    assert.equal(
      drawCrop(size, { scale, ratio }, (i) => draws[i]!),
      part,
    );
  // Nothing fits, so that the middle is taken.
  assert.equal(
    drawCrop(15, { scale: [1, 1], ratio: [2, 2] }, () => 0.5),
    { top: 3, left: 0, height: 8, width: 15 },
  );
  assert.equal(
    drawCrop(15, { scale: [1, 1], ratio: [0.5, 0.5] }, () => 0.5),
    { top: 0, left: 3, height: 15, width: 8 },
  );
});

test("a part is resized, and a picture mirrored, byte for byte as torchvision does with Pillow", () => {
  for (const { filter, part, pixels: wanted } of fixture.crops)
    assert.equal(
      [...cropPicture(pixels, fixture.size, part, filter)],
      wanted,
      `${filter} ${Object.values(part)}`,
    );
  assert.equal([...mirrorPicture(pixels, fixture.size)], fixture.mirrored);
});

const draw = (i: number, seed = 5) => uniform({ key: seed, stream: 9 }, i);

test("jitter adjusts by drawn factors in a drawn order", () => {
  const none = { brightness: 0, contrast: 0, saturation: 0, hue: 0 };
  const orders = new Set<string>();
  for (let picture = 0; picture < 60; picture++) {
    const mine = (i: number) => draw(64 * picture + i);
    // One kind alone tells its factor: a plain product for brightness.
    const bright = jitterPicture(pixels, { ...none, brightness: 0.4 }, mine);
    const factor = 0.6 + 0.8 * mine(44);
    assert.equal(
      [...bright],
      [...pixels].map((byte) => Math.round(Math.min(255, byte * factor))),
    );
    const all = { brightness: 0.4, contrast: 0.3, saturation: 0.5, hue: 0.1 };
    const names = Object.keys(adjustments) as (keyof typeof adjustments)[];
    const factors = names.map((name, i) =>
      name === "hue" ? 0.1 * (2 * mine(44 + i) - 1) : 1 + all[name] * (2 * mine(44 + i) - 1),
    );
    const seen = [...jitterPicture(pixels, all, mine)];
    const fits = permutations([0, 1, 2, 3]).filter((order) => {
      const shades = Float64Array.from(pixels, (byte) => byte / 255);
      for (const i of order) adjustments[names[i]!](shades, factors[i]!);
      return seen.every((byte, at) => Math.abs(byte - 255 * shades[at]!) < 0.5 + 1e-9);
    });
    assert.ok(fits.length > 0, "one of the orders");
    orders.add(fits[0]!.join());
  }
  assert.ok(orders.size > 12, `${orders.size} of 24 orders in 60 pictures`);
  assert.equal([...jitterPicture(pixels, none, draw)], [...pixels]);
});

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}

test("what is drawn depends on seed, step and the picture's place alone", () => {
  const size = fixture.size;
  const many = Uint8Array.from({ length: 20 * pixels.length }, (_, i) => pixels[i % pixels.length]!);
  const vision = { imageSize: size, filter: "bicubic" as const };
  const options = {
    ...{
      shift: 1,
      share: 0.5,
      crop: { scale: [0.5, 1] as [number, number], ratio: [0.75, 1.25] as [number, number] },
    },
    ...{ flip: 0.5, jitter: { brightness: 0.2, contrast: 0.2, saturation: 0.2, hue: 0.1 } },
  };
  const keys = (key: number) => ({ moves: { key, stream: 1 }, others: { key, stream: 2 } });
  const sided = new Array(20).fill(false);
  const how = { vision, options, keys: keys(3), sided };
  const whole = augmentPictures(many, how);
  assert.equal(augmentPictures(many, how), whole);
  assert.not.equal(augmentPictures(many, { ...how, keys: keys(4) }), whole);
  const head = augmentPictures(many.subarray(0, 7 * pixels.length), { ...how, sided: sided.slice(13) });
  assert.equal(head, whole.slice(0, head.length));
  const tail = augmentPictures(many.subarray(7 * pixels.length), { ...how, first: 7, sided: sided.slice(7) });
  assert.equal(tail, whole.slice(head.length));
  const different = new Set(
    Array.from({ length: 20 }, (_, i) => whole.slice(i * pixels.length, (i + 1) * pixels.length).join()),
  );
  assert.is(different.size, 20);
  assert.equal([...many.slice(0, pixels.length)], [...pixels], "what was read stays as it is");
});

test("pictures are mirrored as often as asked, and never where a text speaks of sides", () => {
  const options = {
    shift: 0,
    share: 0,
    flip: 0.3,
    jitter: { brightness: 0, contrast: 0, saturation: 0, hue: 0 },
  };
  const many = Uint8Array.from({ length: 500 * pixels.length }, (_, i) => pixels[i % pixels.length]!);
  const sided = Array.from({ length: 500 }, (_, i) => i % 2 === 0);
  const keys = { moves: { key: 1, stream: 1 }, others: { key: 1, stream: 2 } };
  const vision = { imageSize: fixture.size, filter: "bicubic" as const };
  const seen = augmentPictures(many, { vision, options, keys, sided });
  const mirrored = sided.map((_, i) => {
    const picture = seen.slice(i * pixels.length, (i + 1) * pixels.length).join();
    assert.ok([pixels.join(), fixture.mirrored.join()].includes(picture));
    return picture !== pixels.join();
  });
  assert.not(mirrored.some((is, i) => is && sided[i]));
  const share = mirrored.filter(Boolean).length / 250;
  assert.ok(Math.abs(share - 0.3) < 0.08, `${share}`);
});

test("threads see the pictures of a large batch as this thread would, batch for batch", async () => {
  const batch = (count: number, key: number, size = 224) => ({
    pixels: Uint8Array.from({ length: count * 3 * size * size }, (_, i) =>
      randomBits({ key, stream: 0 }, i >> 4),
    ),
    how: {
      ...{ vision: { imageSize: size, filter: "bicubic" as const }, keys: keysOf(key) },
      options: {
        ...{ shift: 3, share: 0.5, crop: { scale: [0.5, 1], ratio: [0.75, 1.25] } },
        ...{ flip: 0.5, jitter: { brightness: 0, contrast: 0, saturation: 0.2, hue: 0 } },
      } as Parameters<typeof augmentPictures>[1]["options"],
      sided: Array.from({ length: count }, (_, i) => i % 3 === 0),
    },
  });
  const keysOf = (key: number) => {
    const streams = new RandomStreams(key, 7);
    return { moves: streams.stream(), others: streams.stream() };
  };
  const batches = [batch(15, 1), batch(17, 2), batch(2, 3), batch(2, 4, 640)];
  const expected = batches.map(({ pixels, how }) => augmentPictures(pixels, how));
  const threads = new AugmentThreads(3);
  // All at a time: batches are made ahead.
  const seen = await Promise.all(batches.map(({ pixels, how }) => threads.augment(pixels, how)));
  for (const [i, pixels] of seen.entries()) assert.ok(Buffer.from(pixels).equals(expected[i]!), `batch ${i}`);
  const { pixels, how } = batches[0]!;
  const vision = { imageSize: 224, filter: "none" as never };
  const failed = await threads.augment(pixels, { ...how, vision }).catch((thrown: Error) => thrown);
  assert.match((failed as Error).message, /filter/);
  const cut = threads.augment(pixels, how).catch((thrown: Error) => thrown);
  threads.close();
  assert.match(((await cut) as Error).message, /thread that augments pictures has ended/);
});

test("texts that speak of sides", () => {
  for (const text of [
    ...[
      "the dog looks left",
      "Facing RIGHT",
      "make it face right",
      "right-hand drive",
      "on the rightmost side",
      "turn around",
    ],
    ...[
      "facing the other way",
      "flip the direction",
      "two o'clock",
      "Set the clock",
      "rotate by 90 degrees",
      "mirrored",
    ],
    ...[
      "point it north-west",
      "counterclockwise",
      "waxing crescent moon",
      "the opposite",
      "a sign with letters",
    ],
    ...[
      "half past five",
      "the digit 7",
      "at the other end",
      "tilted more",
      "profile view",
      "quarter to nine",
      "on its side",
    ],
  ])
    assert.ok(speaksOfSides(text), text);
  for (const text of [
    ...[
      "brighter",
      "a bright red dress",
      "upright bass",
      "cleft lip",
      "texture",
      "outside",
      "inside the house",
      "beside",
    ],
    ...[
      "with half sleeves",
      "floral print",
      "swords",
      "",
      "make the skin dark",
      "namely",
      "asides",
      "ünright",
      "designed",
    ],
  ])
    assert.not(speaksOfSides(text), text);
  const batch = {
    ...{ pictures: Int32Array.from([9, 8, 7, 6]), kind: ["", "", ""], ignore: new Uint8Array(12) },
    ...{ reference: Int32Array.from([0, 1, 0]), target: Int32Array.from([1, 2, 1]) },
    text: ["redder", "to the left", "bluer"],
  };
  assert.equal(sidedPictures(batch), [false, true, true, false]);
});

test("a run's batches are augmented by seed and step, and mirrored but where a text speaks of sides", async () => {
  const size = 8;
  const bytes = 3 * size * size;
  const all = Uint8Array.from({ length: 6 * bytes }, (_, i) => (i * 7919 + (i >> 3)) % 251);
  const set = {
    ...{ name: "drawn", triplets: 2, texts: () => ["a"] },
    pictures: inMemory({ size, names: ["0", "1", "2", "3", "4", "5"], pixels: all }),
    sampleBatch: () => ({
      ...{ pictures: Int32Array.from([5, 0, 3, 2]), ignore: new Uint8Array(8), kind: ["", ""] },
      ...{ reference: Int32Array.from([0, 2]), target: Int32Array.from([1, 3]), text: ["a", "a, left"] },
    }),
  };
  const seen = async (augment: object, step = 0, seed = 1) => {
    const config = parseConfig(
      {
        ...{ name: "x", seed, data: { kind: "emoji" } },
        model: {
          vision: { imageSize: size, patchSize: 4, width: 16, depth: 1, heads: 2 },
          text: { width: 16, depth: 1, heads: 2, intermediate: 32, maxPositions: 12, maxLength: 8 },
        },
        training: { steps: 30, pictures: 4, triplets: 2, reverse: { weight: 0 }, augment },
      },
      "the test",
    );
    const { inputs } = await packerOf(new Tokenizer([...specialTokens, "a", "left"]), set, config)(step);
    const { buffer, byteOffset } = inputs["pictures 0"]!.values;
    const shown = new Uint8Array(buffer, byteOffset, 4 * bytes);
    return [0, 1, 2, 3].map((i) => [...shown.subarray(i * bytes, (i + 1) * bytes)]);
  };
  const plain = [5, 0, 3, 2].map((id) => all.slice(id * bytes, (id + 1) * bytes));
  assert.equal(
    await seen({}),
    plain.map((picture) => [...picture]),
  );
  const mirrored = plain.map((picture, i) => [...(i < 2 ? mirrorPicture(picture, size) : picture)]);
  assert.equal(await seen({ flip: 1 }), mirrored);
  const augment = { crop: {}, flip: 0.5, jitter: { brightness: 0.4, hue: 0.1 }, shift: 1 };
  const first = await seen(augment, 3);
  assert.equal(await seen(augment, 3), first);
  assert.not.equal(await seen(augment, 4), first);
  assert.not.equal(await seen(augment, 3, 2), first);
});

test("nothing is augmented unless asked for, and what can't be is refused", () => {
  const of = (augment: object) =>
    parseConfig(
      { name: "x", data: { kind: "emoji" }, model: {}, training: { steps: 30, augment } },
      "the test",
    ).training.augment;
  assert.not(augments(of({})));
  for (const augment of [{ shift: 1 }, { crop: {} }, { flip: 0.1 }, { jitter: { hue: 0.1 } }])
    assert.ok(augments(of(augment)), JSON.stringify(augment));
  assert.equal(of({ crop: {} }).crop, { scale: [0.5, 1], ratio: [0.75, 4 / 3] });
  for (const [augment, message] of [
    [{ crop: { scale: [0.8, 0.5] } }, /crop\.scale: the first must not exceed/],
    [{ crop: { scale: [0.5, 1.1] } }, /scale must not exceed 1/],
    [{ crop: { ratio: [0, 1] } }, /crop\.ratio\.0/],
    [{ jitter: { hue: 0.6 } }, /jitter\.hue/],
    [{ flip: 2 }, /augment\.flip/],
  ] as const)
    assert.throws(() => of(augment), message);
});

test.run();
