// Items made ahead: their order and number, errors at their item, and the end.
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ahead } from "../train/prefetch.ts";

/** Makes items whose ends are in the test's hands. */
function bench() {
  const begun: number[] = [];
  const ends = new Map<number, { resolve(value: string): void; reject(error: Error): void }>();
  const make = (i: number) => {
    begun.push(i);
    return new Promise<string>((resolve, reject) => ends.set(i, { resolve, reject }));
  };
  return { begun, make, end: (i: number) => ends.get(i)!.resolve(`item ${i}`), ends };
}

test("items come in order, however their making ends, and no more are begun than asked", async () => {
  const { begun, make, end } = bench();
  const queue = ahead(make, 5, 3);
  await sleep(20);
  assert.equal(begun, [5, 6, 7], "before the first is asked for");
  end(7);
  end(6);
  const first = queue.next();
  end(5);
  assert.is(await first, "item 5");
  await sleep(20);
  assert.equal(begun, [5, 6, 7, 8], "the one that was taken makes room");
  assert.is(await queue.next(), "item 6");
  assert.is(await queue.next(), "item 7");
  await sleep(20);
  assert.equal(begun, [5, 6, 7, 8, 9, 10]);
  for (const i of [8, 9, 10]) end(i);
  await queue.dispose();
});

test("whoever took an item goes on before the next is begun", async () => {
  const { begun, make, end } = bench();
  const queue = ahead(make, 0, 1);
  end(0);
  await queue.next();
  assert.equal(begun, [0], "this runs first");
  await sleep(20);
  assert.equal(begun, [0, 1]);
  end(1);
  await queue.dispose();
});

test("an error is that of its item alone, thrown at once or later", async () => {
  const { make, end, ends } = bench();
  const queue = ahead(
    (i) => {
      if (i === 1) throw new Error("at once");
      return make(i);
    },
    0,
    4,
  );
  await sleep(20);
  // Long before anybody asks: an unhandled rejection would end the process.
  ends.get(2)!.reject(new Error("later"));
  await sleep(20);
  end(0);
  end(3);
  assert.is(await queue.next(), "item 0");
  for (const why of ["at once", "later"]) {
    const error = await queue.next().then(
      () => null,
      (thrown: Error) => thrown,
    );
    assert.is(error?.message, why);
  }
  assert.is(await queue.next(), "item 3");
  for (const i of [4, 5, 6, 7]) {
    await sleep(5);
    ends.get(i)?.resolve("");
  }
  await queue.dispose();
});

test("depth 0 makes nothing ahead; several may be asked for at a time", async () => {
  const { begun, make, end } = bench();
  const queue = ahead(make, 3, 0);
  await sleep(10);
  assert.equal(begun, []);
  const both = Promise.all([queue.next(), queue.next()]);
  end(4);
  end(3);
  assert.equal(await both, ["item 3", "item 4"]);
  await sleep(10);
  assert.equal(begun, [3, 4]);
  assert.throws(() => ahead(make, 0, -1), /cannot make -1 items/);
});

test("disposal waits for what is under way, fails or not, and ends the rest", async () => {
  const { begun, make, end, ends } = bench();
  const queue = ahead(make, 0, 2);
  await sleep(10);
  end(0);
  await queue.next();
  let ended = false;
  const disposal = queue.dispose().then(() => {
    ended = true;
  });
  await sleep(20);
  assert.not(ended, "item 1 is still being made");
  ends.get(1)!.reject(new Error("in vain"));
  await disposal;
  await sleep(20);
  assert.equal(begun, [0, 1], "nothing was begun after it");
  const error = await queue.next().then(
    () => null,
    (thrown: Error) => thrown,
  );
  assert.match(error!.message, /any longer/);
});

test.run();
