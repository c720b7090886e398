// The rephraser by a language model against a stand-in that also fails, stalls, answers nonsense and cuts off: what comes out
// is the same to the byte as where all goes well, nothing is asked twice without need, and nothing secret is kept.
import { execFile, spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { folderFiles } from "../train/data/node.ts";
import { readSplit } from "../train/data/read.ts";
import { DataError } from "../train/data/types.ts";
import { Chat, ChatError, waitOf } from "../train/roam/chat.ts";
import { type AskOptions, answersFile, askModel } from "../train/roam/model.ts";
import { readPairs } from "../train/roam/pairs.ts";
import { messagesFor, readAnswer } from "../train/roam/prompt.ts";
import { reasons } from "../train/roam/reasons.ts";
import { type Roamed, type RoamOptions, roam } from "../train/roam/roam.ts";
import { failClearly, runCommand } from "./command.ts";
import { writeSample } from "./data-samples.ts";
import { contentFor, type Fate, standIn, textsFor } from "./roam/stand-in.ts";
import { asked, captionsSample, vqaNames, vqaSample } from "./roam/vqa.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "casement-roam-model-"));
test.after(() => rmSync(dir, { recursive: true, force: true }));
const at = (...names: string[]) => join(dir, ...names);
// Some are asked twice, in capitals too, so that they are asked once.
const list = [
  ...asked.slice(0, 120),
  ...asked.slice(20, 30),
  { ...asked[40]!, question: asked[40]!.question.toUpperCase() },
];
await writeSample(at("vqa"), vqaSample(list));
const names = vqaNames();
const files = {
  questions: at("vqa", names.questions),
  annotations: at("vqa", names.annotations),
  pairs: at("vqa", names.pairs),
};
const flags = Object.entries(files).flatMap(([name, file]) => [`--${name}`, file]);
// The first ones take long, so that as many are under way as may be.
const server = await standIn((_, index) => ({ kind: "answer", after: index < 3 ? 500 : 2 }));
test.after(() => server.close());

const settings = (ask: Partial<AskOptions> = {}): AskOptions => ({
  ...{ batch: 10, atOnce: 3, attempts: 4, pause: 5, grace: 300 },
  ...{ events: { message() {}, progress() {} }, stop: () => false },
  ...ask,
});
interface Given {
  ask?: Partial<AskOptions>;
  model?: string;
  key?: string;
  timeout?: number;
  url?: string;
  options?: Partial<RoamOptions>;
}
function run(
  out: string,
  { ask, model = "m", key, timeout = 10_000, url = server.url, options }: Given = {},
): Promise<Roamed | null> {
  const chat = new Chat(url, model, key, timeout);
  const all = settings(ask);
  return roam({
    ...{ files, out: at(out), captionShare: 0, longest: 300, seed: 0, by: "m" },
    rephraser: (pairs) => askModel(chat, pairs, at(out), all),
    ...{ events: all.events, stop: all.stop, ...options },
  });
}
const kept = (out: string) =>
  readFileSync(at(out, answersFile), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const outputs = ["lasco_train.json", "lasco_train_corpus.json", "roam_train.jsonl"];
/** Holds what was written to what an undisturbed run writes, to the byte. */
function same(out: string): void {
  for (const name of outputs) {
    const [found, wanted] = [out, "plain"].map((folder) =>
      readFileSync(at(folder, name), "utf8").split("\n"),
    );
    for (const [i, line] of wanted!.entries()) assert.is(found![i], line, `${out}/${name}, line ${i + 1}`);
    assert.is(found!.length, wanted!.length);
  }
}

const plain = (await run("plain", { key: "secret-key-1" }))!;
const requests = server.requests.slice();
/** Pairs that are asked for, each once: not those whose answers or questions are filtered before. */
const items = requests.flatMap((request) => request.items);

test("pairs are asked once each, some to a request, with examples before them", () => {
  const keys = items.map(({ question, answers }) => JSON.stringify([question.toLowerCase(), answers]));
  assert.is(new Set(keys).size, keys.length);
  assert.ok(keys.length > 100 && keys.length < list.length - 10, `${keys.length}`);
  assert.is(requests.length, Math.ceil(keys.length / 10));
  assert.ok(server.state.most === 3, `${server.state.most} at a time`);
  for (const { body, path, headers } of requests) {
    assert.is(path, "/v1/chat/completions");
    assert.is(headers.authorization, "Bearer secret-key-1");
    assert.equal(Object.keys(body), ["model", "messages", "stream"]);
    assert.equal(
      body.messages.map(({ role }) => role),
      ["system", "user", "assistant", "user"],
    );
    assert.match(body.messages[2]!.content, /"to_second":"Make the sky cloudy"/);
  }
});

test("its texts are in the triplets, both directions, and the same for those that ask the same", () => {
  assert.equal(plain.texts, { m: plain.triplets });
  const lines = readFileSync(at("plain/roam_train.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  let found = 0;
  for (const { qid, question, answers, text, by } of lines) {
    if (text === undefined) continue;
    found++;
    assert.is(by, "m");
    const [first, second] = qid % 2 === 0 ? answers : answers.toReversed();
    // The one in capitals got the answer of its like.
    const [there, back] = textsFor({ question, answers: [first, second] });
    assert.is(text.toLowerCase(), (qid % 2 === 0 ? there : back).toLowerCase());
  }
  assert.is(found, plain.triplets);
  assert.ok(found > 200);
});

test("every answer is kept with its prompt, and nothing is asked again", async () => {
  const lines = kept("plain");
  assert.is(lines.length, requests.length);
  for (const { model, endpoint, messages, items, answer, finish } of lines) {
    assert.is(model, "m");
    assert.is(endpoint, `${server.url}/chat/completions`);
    assert.equal(messages, messagesFor(items));
    assert.is(answer, contentFor(items));
    assert.is(finish, "stop");
  }
  server.reset();
  cpSync(at("plain"), at("again"), { recursive: true });
  await run("again");
  assert.is(server.requests.length, 0);
  same("again");
});

test("what fails, stalls, breaks off and talks nonsense gives the same bytes", async () => {
  const odd: ((items: (typeof requests)[0]["items"]) => Fate)[] = [
    () => ({ kind: "status", status: 429, headers: { "retry-after": "0" } }),
    () => ({ kind: "status", status: 500 }),
    () => ({ kind: "stall" }),
    () => ({ kind: "cut" }),
    () => ({ kind: "answer", content: "I am sorry, but as a language model I can't see pictures." }),
    () => ({ kind: "status", status: 503, body: "<html>overloaded</html>" }),
    () => ({ kind: "stall", midway: true }),
    () => ({ kind: "raw", body: "<!doctype html><p>hello" }),
    () => ({ kind: "raw", body: '{"choices":[]}' }),
    () => ({ kind: "answer", content: "" }),
    // Half of it, as where it ran out of tokens.
    (items) => ({
      kind: "answer",
      content: contentFor(items).slice(0, contentFor(items).length / 2),
      finish: "length",
    }),
    // One missing, one empty, one of the wrong kind, one that asks back, numbers that nobody gave.
    (items) => {
      const all = JSON.parse(contentFor(items));
      if (all[0]) all[0].to_first = "";
      if (all[1]) all[1].to_second = 7;
      if (all[2]) all[2].to_second = "What?";
      return {
        kind: "answer",
        content: JSON.stringify([...all.slice(0, -1), { n: 99, to_second: "a", to_first: "b" }]),
      };
    },
    (items) => ({
      kind: "answer",
      content: `<think>${contentFor(items).replaceAll("Turn", "Wrong")}</think>\n\`\`\`json\n${contentFor(items)}\n\`\`\`\nHere you are!`,
    }),
  ];
  const seen = new Set<number>();
  const failed = new Set<string>();
  let next = 0;
  server.reset(({ items }) => {
    // Each pair is failed once, each request in another way; one that fails three times goes without.
    const keys = items.map((item) => JSON.stringify(item));
    if (keys.some((key) => failed.has(key))) return { kind: "answer" };
    for (const key of keys) failed.add(key);
    const which = next++ % odd.length;
    seen.add(which);
    return odd[which]!(items);
  });
  const messages: string[] = [];
  await run("odd", {
    timeout: 250,
    ask: { batch: 4, attempts: 20, events: { message: (text) => messages.push(text), progress() {} } },
  });
  assert.is(seen.size, odd.length, "not every way was tried");
  same("odd");
  for (const said of [
    /HTTP 429: the stand-in/,
    /HTTP 500/,
    /no answer within 0\.25 s/,
    /HTTP 503: <html>/,
    /no chat completion: <!doc/,
  ]) {
    assert.ok(
      messages.some((message) => said.test(message)),
      `${said}: ${messages.join("\n")}`,
    );
  }
});

test("a pair that it has no usable text for goes without, and is asked for again the next time", async () => {
  const poor = items[13]!;
  const is = (item: typeof poor) => item.question === poor.question && item.answers[0] === poor.answers[0];
  let refused = 0;
  server.reset(({ items }) => {
    if (!items.some(is)) return { kind: "answer" };
    refused++;
    return {
      kind: "answer",
      content: JSON.stringify(
        JSON.parse(contentFor(items)).filter((_: unknown, i: number) => !is(items[i]!)),
      ),
    };
  });
  const result = (await run("poor"))!;
  assert.is(refused, 3);
  assert.is(
    result.leftOut.unusable,
    list.filter(({ question, answers }) => is({ question, answers })).length * 2,
  );
  server.reset();
  await run("poor");
  assert.is(server.requests.length, 1);
  assert.equal(server.requests[0]!.items, [poor]);
  same("poor");
});

test("what the endpoint refuses for one pair costs that pair alone", async () => {
  const poor = items[60]!;
  server.reset(({ items }) =>
    items.some(({ question, answers }) => question === poor.question && answers[0] === poor.answers[0])
      ? { kind: "status", status: 400, body: '{"error":{"message":"content filter"}}' }
      : { kind: "answer" },
  );
  const result = (await run("filtered"))!;
  assert.is(result.leftOut.unusable, 2);
  assert.is(result.triplets, plain.triplets - 2);
  // The same with one that the server dies of.
  server.reset(({ items }) =>
    items.some(({ question, answers }) => question === poor.question && answers[0] === poor.answers[0])
      ? { kind: "status", status: 500 }
      : { kind: "answer" },
  );
  const dying = (await run("dying", { ask: { attempts: 2, pause: 1 } }))!;
  assert.is(dying.leftOut.unusable, 2);
  // That pair alone is left: whether the server is there at all is told by one that it has answered.
  const left = (await run("dying", { ask: { attempts: 2, pause: 1 } }))!;
  assert.is(left.leftOut.unusable, 2);
  assert.is(server.requests.at(-1)!.items.length, 1);
  server.state.fate = () => ({ kind: "status", status: 500 });
  await run("dying", { ask: { attempts: 2, pause: 1 } }).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, /failed 2 times in a row: HTTP 500/),
  );
});

test("a model that sees no change is taken at its word", async () => {
  server.reset(({ items }) => ({
    kind: "answer",
    content: JSON.stringify(
      items.map((item, i) => ({ n: i + 1, to_second: null, to_first: textsFor(item)[1] })),
    ),
  }));
  const result = (await run("null"))!;
  assert.is(result.leftOut.refused, plain.triplets / 2);
  assert.is(result.triplets, plain.triplets / 2);
});

test("the answers of another model are not used", async () => {
  server.reset();
  cpSync(at("plain"), at("other"), { recursive: true });
  const messages: string[] = [];
  await run("other", {
    model: "other",
    ask: { events: { message: (text) => messages.push(text), progress() {} } },
  });
  assert.is(server.requests.length, requests.length);
  assert.ok(
    messages.some((text) =>
      text.includes(`; ${requests.length} answers of another model or prompt are not used`),
    ),
    messages.join(),
  );
  assert.is(kept("other").length, 2 * requests.length);
});

test("a line without its end is cut off and asked for again, wherever it was torn", async () => {
  server.reset();
  const size = statSync(at("plain", answersFile)).size;
  const last = Buffer.byteLength(`${JSON.stringify(kept("plain").at(-1))}\n`);
  for (const missing of [1, 2, 40, last - 1, last, last + 1]) {
    const out = `torn${missing}`;
    cpSync(at("plain"), at(out), { recursive: true });
    truncateSync(at(out, answersFile), size - missing);
    server.reset();
    await run(out);
    assert.is(server.requests.length, missing > last ? 2 : 1, `${missing}`);
    same(out);
    assert.is(kept(out).length, requests.length);
  }
});

test("a broken line within the file is told by its number", async () => {
  cpSync(at("plain"), at("broken"), { recursive: true });
  const lines = readFileSync(at("broken", answersFile), "utf8").split("\n");
  for (const [line, message] of [
    ["{", /roam_answers\.jsonl, line 3: malformed JSON .*take that line out/],
    ["\0\0\0\0", /roam_answers\.jsonl, line 3: malformed JSON/],
    ['{"setup":"x"}', /roam_answers\.jsonl, line 3: field items: /],
  ] as const) {
    writeFileSync(at("broken", answersFile), lines.toSpliced(2, 1, line).join("\n"));
    const error = await run("broken").then(
      () => null,
      (error) => error,
    );
    assert.instance(error, DataError);
    assert.match(error.message, message);
  }
});

test("Retry-After holds back all requests", async () => {
  let first = true;
  server.reset(() => {
    if (!first) return { kind: "answer" };
    first = false;
    return { kind: "status", status: 429, headers: { "retry-after": "0.6" } };
  });
  await run("held", { ask: { atOnce: 2 } });
  const [at0] = server.requests.map((request) => request.at);
  const soon = server.requests.filter((request) => request.at > at0! + 200 && request.at < at0! + 590);
  assert.equal(
    soon.map((request) => request.at - at0!),
    [],
  );
  same("held");
  assert.is(waitOf("3"), 3000);
  assert.is(waitOf("Wed, 21 Oct 2015 07:28:10 GMT", Date.parse("2015-10-21T07:28:00Z")), 10_000);
  assert.is(waitOf("Wed, 21 Oct 2015 07:28:00 GMT"), 0);
  assert.is(waitOf("soon"), null);
  assert.is(waitOf(null), null);
});

test("an endpoint that refuses, or is not there, ends it with what was answered kept", async () => {
  const failing = async (out: string, given: Given = {}) => {
    const error = await run(out, given).then(
      () => null,
      (error) => error,
    );
    assert.instance(error, ChatError, `${out}: ${error?.stack}`);
    return error.message as string;
  };
  server.reset(() => ({
    kind: "status",
    status: 401,
    body: '{"error":{"message":"wrong key secret-key-1"}}',
  }));
  assert.match(
    await failing("e401", { key: "secret-key-1" }),
    /refuses: HTTP 401: wrong key \*\*\*; is CASEMENT_LLM_KEY right\?$/,
  );
  assert.ok(server.requests.length <= 3);
  assert.match(await failing("e401"), /; a key goes into CASEMENT_LLM_KEY$/);
  server.reset(() => ({ kind: "status", status: 404, body: '{"detail":"no model m"}' }));
  assert.match(await failing("e404"), /HTTP 404: no model m$/);
  server.reset(() => ({ kind: "status", status: 400, body: '{"error":"no model m"}' }));
  assert.match(await failing("e400"), /HTTP 400: no model m$/);
  server.reset(() => ({ kind: "status", status: 302, headers: { location: `${server.url}/elsewhere` } }));
  assert.match(await failing("e302"), /HTTP 302.*; give the address that it leads to/);
  assert.ok(server.requests.every(({ path }) => path === "/v1/chat/completions"));
  server.reset(() => ({
    kind: "status",
    status: 429,
    body: '{"error":{"message":"pay","code":"insufficient_quota"}}',
  }));
  assert.match(await failing("quota"), /HTTP 429: pay$/);
  server.reset(() => ({ kind: "status", status: 429, headers: { "retry-after": "86400" } }));
  assert.match(await failing("day"), /asks to be left alone for 1440 minutes/);
  server.reset((_, index) => (index < 4 ? { kind: "answer" } : { kind: "status", status: 500 }));
  const message = await failing("down", { ask: { atOnce: 1, pause: 1 } });
  assert.match(
    message,
    /failed 4 times in a row: HTTP 500.*What was answered is kept: the same command goes on from there/,
  );
  // Four answers, four failures, and a pair that it had answered, to see whether it is there at all.
  assert.is(server.requests.length, 9);
  server.reset();
  await run("down");
  assert.is(server.requests.length, requests.length - 4);
  same("down");
  server.reset(() => ({ kind: "answer", content: "Hello!" }));
  assert.match(
    await failing("hello"),
    /nothing can be read of 10 answers of m; they are in roam_answers\.jsonl/,
  );
  assert.ok(server.requests.length <= 13, `${server.requests.length}`);
  assert.match(
    await failing("nobody", { url: "http://127.0.0.1:9/v1", ask: { attempts: 2 } }),
    /failed 2 times in a row: \S/,
  );
});

test("addresses that can't be asked are refused without being shown", () => {
  for (const url of ["nowhere", "ftp://x/v1", "http://me:pass-word@127.0.0.1/v1"]) {
    assert.throws(
      () => new Chat(url, "m", undefined, 1),
      (error: Error) => /^--llm /.test(error.message) && !error.message.includes("pass-word"),
    );
  }
  assert.throws(() => new Chat("http://x", "m", "a\nb", 1), /CASEMENT_LLM_KEY has characters/);
  const at = (url: string) => new Chat(url, "m", undefined, 1).endpoint;
  assert.is(at("http://x/v1/"), "http://x/v1/chat/completions");
  assert.is(
    at("http://x/deployments/d/chat/completions?api-version=1&key=secret"),
    "http://x/deployments/d/chat/completions",
  );
});

test("what is read of an answer", () => {
  const two = [items[0]!, items[1]!];
  const read = (content: string) => [...readAnswer(content, two)];
  const entry = (n: unknown, to_second: unknown, to_first: unknown) =>
    JSON.stringify({ n, to_second, to_first });
  assert.equal(read(entry(1, ' "Make it\nred." ', "“Blue”")), [[0, ["Make it red", "Blue"]]]);
  assert.equal(read(`${entry("2", "a b", null)} and ${entry(1, "x", "y")}`), [
    [1, ["a b", null]],
    [0, ["x", "y"]],
  ]);
  for (const bad of ["", "...", "…", 5, true, ["a"], "Is it?", "a{b", "x".repeat(301), items[0]!.question]) {
    assert.equal(read(entry(1, bad, "fine")), [], JSON.stringify(bad));
  }
  assert.equal(
    read(entry(0, "a", "b") + entry(3, "a", "b") + entry(1.5, "a", "b") + entry(null, "a", "b")),
    [],
  );
  assert.equal(read('[{"n": 1, "to_second": "a", "to_first": "b"}, {"n": 2, "to_sec'), [[0, ["a", "b"]]]);
});

test("nothing is sent unless asked for", async () => {
  server.reset();
  const { code } = await runCommand(dir, ["roam", ...flags, "--out", "unasked"], undefined, {
    CASEMENT_LLM_KEY: "secret-key-1",
  });
  assert.is(code, 0);
  assert.is(server.requests.length, 0);
  assert.not.ok(readdirSync(at("unasked")).includes(answersFile));
  await failClearly(dir, [
    [["roam", ...flags, "--out", "unasked", "--model", "m"], /--model NAME is for --llm URL/, 2],
    [["roam", ...flags, "--out", "unasked", "--at-once", "2"], /--at-once N is for --llm URL/, 2],
    [
      ["roam", ...flags, "--out", "unasked", "--caption-share", "9"],
      /--caption-share N is for --captions/,
      2,
    ],
    [["roam", ...flags, "--out", "unasked", "--llm", server.url], /--llm URL needs --model NAME/, 2],
    [["roam", ...flags, "--out", "unasked", "--llm", "nowhere", "--model", "m"], /--llm is no URL/],
  ]);
  assert.is(server.requests.length, 0);
});

test("the key is in no file and no line, not even where the server says it back", async () => {
  const key = "secret-key-1";
  server.reset(({ items, headers }, index) =>
    index === 0
      ? {
          kind: "status",
          status: 500,
          body: JSON.stringify({ error: { message: `you sent ${headers.authorization}` } }),
        }
      : { kind: "answer", content: `${headers.authorization}\n${contentFor(items)}` },
  );
  const args = ["roam", ...flags, "--out", "key", "--llm", `${server.url}?token=hidden-too`, "--model", "m"];
  const { code, out, err } = await runCommand(dir, [...args, "--longest", "300", "--debug"], undefined, {
    CASEMENT_LLM_KEY: key,
  });
  assert.is(code, 0, err);
  assert.ok(server.requests.every(({ path }) => path === "/v1/chat/completions?token=hidden-too"));
  assert.match(out, /HTTP 500: you sent Bearer \*\*\*; once more in/);
  const texts = readdirSync(at("key")).map((name) => readFileSync(at("key", name), "utf8"));
  for (const text of [out, err, ...texts]) {
    assert.not.ok(text.includes(key));
    assert.not.ok(text.includes("hidden-too"));
  }
  same("key");
});

/** Starts the command line, and ends it as `end` says once the stand-in was asked so often. */
async function interrupted(out: string, count: number, signal: NodeJS.Signals) {
  const args = [
    "roam",
    ...flags,
    "--out",
    out,
    "--llm",
    server.url,
    "--model",
    "m",
    "--longest",
    "300",
    "--json",
  ];
  const child = spawn(
    process.execPath,
    ["--import", join(root, "cli/register.mjs"), join(root, "cli/process.ts"), ...args],
    { cwd: dir },
  );
  let text = "";
  child.stdout.on("data", (data) => {
    text += data;
  });
  server.reset((_, index) => {
    if (index === count) child.kill(signal);
    return { kind: "answer", after: 15 };
  });
  const [code, by] = await new Promise<[number | null, string | null]>((resolve) =>
    child.on("close", (...how) => resolve(how)),
  );
  return { code, by, out: text, asked: server.requests.length };
}

test("kill -9, again and again, and what comes out at last is the same to the byte", async () => {
  let asked = 0;
  let kills = 0;
  for (const count of [1, 3, 4]) {
    const { by, asked: now } = await interrupted("killed", count, "SIGKILL");
    assert.is(by, "SIGKILL");
    asked += now;
    kills++;
  }
  server.reset();
  const { code } = await runCommand(dir, [
    "roam",
    ...flags,
    "--out",
    "killed",
    "--llm",
    server.url,
    "--model",
    "m",
    "--longest",
    "300",
  ]);
  assert.is(code, 0);
  asked += server.requests.length;
  same("killed");
  // At most what was under way, four requests at a time, is asked twice.
  assert.ok(asked <= requests.length + 4 * kills, `${asked} requests for ${requests.length}`);
});

test("Ctrl-C waits for what is under way, keeps it, and the same command goes on", async () => {
  const { code, out, asked } = await interrupted("stopped", 4, "SIGINT");
  assert.is(code, 130);
  assert.equal(JSON.parse(out), { out: "stopped", finished: false });
  assert.is(kept("stopped").length, asked);
  assert.equal(readdirSync(at("stopped")), [answersFile]);
  server.reset();
  await run("stopped");
  assert.is(server.requests.length, requests.length - asked);
  same("stopped");
});

test("a stop does not wait for a stalled answer for long", async () => {
  let stop = false;
  server.reset(() => {
    setTimeout(() => {
      stop = true;
    }, 50);
    return { kind: "stall" };
  });
  const start = performance.now();
  assert.is(await run("stall", { timeout: 60_000, ask: { stop: () => stop, grace: 200 } }), null);
  const took = performance.now() - start;
  assert.ok(took > 200 && took < 5000, `${took}`);
});

test("the commands of docs/roam.md run as they stand there", async () => {
  server.reset();
  const page = readFileSync(join(root, "docs/roam.md"), "utf8");
  const commands = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1]!);
  assert.is(commands.length, 3);
  await writeSample(at("vqa"), captionsSample(list));
  mkdirSync(at("bin"));
  const npx = `#!/bin/sh\nshift; exec "${process.execPath}" "${join(root, "cli/casement.mjs")}" "$@"\n`;
  writeFileSync(at("bin/npx"), npx, { mode: 0o755 });
  const env = { ...process.env, PATH: `${at("bin")}${delimiter}${process.env.PATH}` };
  for (const command of commands) {
    const line = command.replace("http://127.0.0.1:8000/v1", server.url);
    const { stdout } = await promisify(execFile)("sh", ["-c", line], { cwd: dir, env });
    assert.match(stdout, /triplets from 131 pairs.*LaSCo, as published.*Written to data\/roamed/s, line);
  }
  assert.ok(server.requests.length > 10);
  for (const name of ["roamed", "roamed-ca", "roamed-llm"]) {
    const { queries } = await readSplit("lasco", folderFiles(at("data", name)), "train");
    assert.ok(queries.length > 200, name);
  }
});

test("what the rules leave out the model is not asked for", async () => {
  const read = (await readPairs(files))!;
  assert.is(read.pairs.length, list.length);
  const lines = readFileSync(at("plain/roam_train.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const why = new Set(lines.flatMap(({ leftOut }) => leftOut ?? []));
  assert.ok(why.has(reasons.unseen) || why.size === 0 || !why.has(reasons.rule), [...why].join());
  const unseen = lines.filter(({ leftOut }) => leftOut === reasons.unseen);
  for (const { question } of unseen) assert.not.ok(items.some((item) => item.question === question));
});

test.run();
