// Arguments mean what was typed: text stays text, numbers are strict, what can't be understood is refused with exit status 2;
// what is printed holds no control character, and with --json standard output is one JSON value.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { main } from "../cli/main.ts";
import {
  flag,
  many,
  needed,
  otherwise,
  path,
  readArguments,
  text,
  UsageError,
  whole,
} from "../cli/options.ts";
import { shellWord, visible } from "../cli/output.ts";
import { runCommand } from "./command.ts";

const dir = mkdtempSync(join(tmpdir(), "casement-arguments-"));
const root = fileURLToPath(new URL("..", import.meta.url));
const emoji = join(root, "checkpoints/emoji-small");

const options = {
  text: text("TEXT", ""),
  out: path("DIR", ""),
  run: path("DIR", ""),
  steps: whole("N", "", 1),
  k: otherwise(whole("N", "", 1, 128), 10),
  ignore: many(text("PATTERN", "")),
  fresh: flag(""),
};
const read = (...args: string[]) => readArguments(args, options, {});

test("text stays text", () => {
  const texts = [
    "007",
    "1e2",
    "",
    " ",
    "0x10",
    "1e999",
    "NaN",
    "true",
    "false",
    "null",
    "-5",
    "-",
    "=x",
    "a=b",
    "é\u0301",
  ];
  for (const given of texts) {
    assert.is(read("--text", given).text, given);
    assert.is(read(`--text=${given}`).text, given);
  }
  for (const given of ["--x", "--fresh", "-k", "--", "--no-text"]) {
    assert.is(read(`--text=${given}`).text, given);
    assert.throws(() => read("--text", given), /--text TEXT lacks its value; .*--text=/);
  }
  for (const given of ["2024", "007", "1e2", "0"]) {
    assert.is(read("--out", given).out, given);
    assert.is(read("--run", given).run, given);
  }
  assert.equal(read("--ignore", "1", "--ignore=", "--ignore", "1").ignore, ["1", "", "1"]);
});

test("numbers are strict, and the message says option, value and range", () => {
  assert.is(read("-k", "128").k, 128);
  assert.is(read("-k5").k, 5);
  assert.is(read().k, 10);
  assert.is(read("--steps", "9007199254740991").steps, 9007199254740991);
  const wrong = [
    "0x10",
    "1e3",
    "1e999",
    "NaN",
    "Infinity",
    "",
    " ",
    " 5",
    "1.5",
    "-1",
    "+1",
    "0",
    "05",
    "9007199254740992",
    "five",
    "٣",
  ];
  for (const given of wrong) {
    const message = `--steps must be a whole number from 1 to 2^53 - 1, not "${given}"`;
    for (const args of [[`--steps=${given}`], ["--steps", given]]) {
      assert.throws(
        () => read(...args),
        (error: Error) => error instanceof UsageError && error.message === message,
      );
    }
  }
  assert.throws(() => read("-k", "129"), /^-k must be a whole number from 1 to 128, not "129"$/);
});

test("what can't be understood is refused", () => {
  for (const [args, message] of [
    [["--tex", "a"], /There is no option "--tex"/],
    [["--no-fresh"], /There is no option "--no-fresh"/],
    [["--__proto__=1"], /There is no option "--__proto__"/],
    [["--constructor", "1"], /There is no option "--constructor"/],
    [["-xk"], /There is no option "-xk"/],
    [["--k", "5"], /There is no option "--k"/],
    [["--text"], /--text TEXT lacks its value/],
    [["--text", "a", "--text", "a"], /--text is given more than once/],
    [["--fresh", "--fresh"], /--fresh is given more than once/],
    [["--fresh=true"], /--fresh takes no value/],
    [["--out", ""], /--out needs the name/],
    [["a"], /"a" is one argument too many/],
    [["--", "--text"], /"--text" is one argument too many/],
    [[""], /"" is one argument too many/],
  ] as const) {
    assert.throws(
      () => read(...args),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      args.join(" "),
    );
  }
  assert.throws(() => readArguments([], {}, { source: needed(path("SOURCE", "")) }), /^SOURCE is missing$/);
  assert.throws(() => readArguments([], { out: needed(path("DIR", "")) }, {}), /^--out DIR is missing$/);
});

/** The command line in this process. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const said = { out: "", err: "" };
  const keep = (stream: "out" | "err") => (part: string) => {
    said[stream] += part;
    return true;
  };
  return { code: await main(args, { out: keep("out"), err: keep("err") }), ...said };
}

test("usage errors end with 2, others with 1, and --json makes JSON of both", async () => {
  for (const [args, status] of [
    [[], 2],
    [["flatten"], 2],
    [["flatten", "--help"], 2],
    [[""], 2],
    [["eval"], 2],
    [["eval", "--run", "007"], 1],
    [["eval", "--run", join(dir, "a\nb\u001b[2J")], 1],
    [["search", "--run", "x", "--image", "1", "--text"], 2],
    [["import", join(dir, "x\u009b1m"), "--out", "y"], 1],
    [["import", "x", "--out", "y", "--ignore", ""], 2],
    [["train", "--resume", "x", "--out", "y"], 2],
    [["train", "--resume", "x", "--seed", "1"], 2],
    [["train"], 2],
    [["train", "--config", "007"], 1],
    [["--version"], 0],
    [["train", "--help"], 0],
    [["--help"], 0],
  ] as const) {
    const plain = await run(...args);
    assert.is(plain.code, status, args.join(" "));
    assert.not.match(`${plain.out}${plain.err}`, /\n\s+at /);
    assert.is(visible(`${plain.out}${plain.err}`, "block"), `${plain.out}${plain.err}`);
    const json = await run("--json", ...args);
    assert.is(json.code, status);
    const value = JSON.parse(json.out);
    assert.is(visible(json.out, "block"), json.out);
    if (status > 0) {
      assert.is(plain.out, "");
      assert.is(plain.err, `casement: ${visible(value.error, "block")}\n`);
      assert.is(plain.err.split("\n").length, 2, plain.err);
    }
  }
});

test("control characters of names are shown, and JSON with them is the same", () => {
  assert.is(
    visible("a\u001b[31mb\u0000\u007f\u0085\u202e\u2028", "line"),
    "a\\u001b[31mb\\u0000\\u007f\\u0085\\u202e\\u2028",
  );
  assert.is(visible("a\nb\tc", "block"), "a\nb\\u0009c");
  const value = { text: 'a\u009b\u202e\n"\\' };
  assert.equal(JSON.parse(visible(JSON.stringify(value), "block")), value);
  assert.is(shellWord("a-b/c.json"), "a-b/c.json");
  assert.is(shellWord("it's a run"), "'it'\\''s a run'");
  assert.is(shellWord(""), "''");
});

test("what native code prints does not reach standard output of --json", async () => {
  // Dawn writes remarks to descriptor 1 past JavaScript's streams; a preloaded module does the same.
  const { code, out } = await runCommand(
    dir,
    ["embed", "--checkpoint", emoji, "--text", "007", "--json"],
    undefined,
    {
      NODE_OPTIONS: `--import ${join(dir, "native.mjs")}`,
    },
  );
  assert.is(code, 0);
  const { text, embedding } = JSON.parse(out);
  assert.is(text, "007");
  assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
});

writeFileSync(
  join(dir, "native.mjs"),
  'import { writeSync } from "node:fs";\nif (process.env.CASEMENT_RESULTS) writeSync(1, "Info: native\\n");\n',
);
symlinkSync(emoji, join(dir, "007"));

test("a run and a picture may have numbers for names", async () => {
  writeFileSync(join(dir, "1"), "no picture");
  const { code, err } = await runCommand(dir, ["embed", "--checkpoint", "007", "--image", "1"]);
  assert.is(code, 1);
  assert.match(err, /cannot decode picture 1:/);
});

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  test(`${signal} ends a command that has nothing to save with 130`, async () => {
    for (const json of [[], ["--json"]]) {
      const child = spawn(process.execPath, [join(root, "cli/casement.mjs"), "doctor", "--check", ...json]);
      let [out, err] = ["", ""];
      const timer = setTimeout(() => child.kill(signal), 5000);
      child.stdout.on("data", (data) => {
        out += data;
        // The check, which takes far longer than what is left of the time, has begun.
        if (json.length === 0 && `${data}`.includes("against float64")) child.kill(signal);
      });
      child.stderr.on("data", (data) => {
        err += data;
      });
      const ending = await new Promise((resolve) => child.on("close", (...how) => resolve(how)));
      clearTimeout(timer);
      assert.equal(ending, [130, null], `${out}${err}`);
      if (json.length > 0) assert.equal(JSON.parse(out), { error: "Interrupted." });
    }
  });
}

test("a reader that goes away ends a command quietly", async () => {
  const child = spawn(process.execPath, [join(root, "cli/casement.mjs"), "--help"], { cwd: dir });
  child.stdout.destroy();
  let err = "";
  child.stderr.on("data", (data) => {
    err += data;
  });
  assert.is(await new Promise((resolve) => child.on("close", resolve)), 0);
  assert.is(err, "");
});

test.after(() => rmSync(dir, { recursive: true }));
test.run();
