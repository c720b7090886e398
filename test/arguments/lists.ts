// Random argument lists of the command line, from a seed. Each starts as one that means something, and then gets flaws, so
// that what must come of it is known without the parser: the exit status, and what a result has to say back.
import { randomBits, seedKey } from "../../engine/index.ts";

export interface ArgumentList {
  seed: number;
  args: string[];
  /** The exit status that there must be. */
  status: 0 | 1 | 2;
  json: boolean;
  /** What the JSON of a result must hold; only where the status is 0. */
  echo: Record<string, unknown>;
  /** What the message must name; only where the status is 1. */
  named: string;
}

interface Option {
  name: string;
  /** null for a flag. */
  value: string | null;
  many?: boolean;
}

/** What a command must be given to mean something, and what comes of that. */
interface Start {
  command: string;
  operands: string[];
  options: Option[];
  status: 0 | 1;
  echo?: Record<string, unknown>;
  named?: string;
  /** Would take minutes, so that it gets a flaw for certain. */
  long?: boolean;
}

const flags: Record<string, string[]> = {
  train: ["--fresh"],
  import: ["--partial"],
  doctor: ["--check"],
};
/** Of each command, options that ask for a number, with their least and greatest. */
const numbers: Record<string, [name: string, min: number, max: number][]> = {
  train: [
    ["--steps", 1, Number.MAX_SAFE_INTEGER],
    ["--seed", 0, Number.MAX_SAFE_INTEGER],
  ],
  search: [["-k", 1, 128]],
  import: [
    ["--image-size", 1, Number.MAX_SAFE_INTEGER],
    ["--heads", 1, Number.MAX_SAFE_INTEGER],
  ],
  profile: [["--steps", 1, Number.MAX_SAFE_INTEGER]],
  results: [
    ["--steps", 1, Number.MAX_SAFE_INTEGER],
    ["--seeds", 1, 99],
  ],
  roam: [
    ["--longest", 1, Number.MAX_SAFE_INTEGER],
    ["--caption-share", 0, 100],
  ],
};
const choices: Record<string, string[]> = {
  train: ["--ablate"],
  results: ["--only"],
  eval: ["--precision"],
  search: ["--precision"],
  embed: ["--precision"],
  export: ["--format"],
  score: ["--similarity", "--data"],
  "data check": ["--data"],
};

/** Names and texts as nobody expects them. */
const oddities = [
  ...'007 1e2 0x10 1e999 NaN true null - -5 -0 =x a=b it\'s "quoted" $HOME `ls` %s * \\ ☃ 夜にする'.split(
    " ",
  ),
  ...[" ", "two words", " lead", "tail ", "a\nb", "\u001b[31mred", "\u009b2J", "\u202etxt.exe", "e\u0301"],
  ...[
    "undefined",
    "constructor",
    "__proto__",
    "[object Object]",
    "2024",
    "-x=1",
    "👩‍🚀",
    "\u2028",
    "x".repeat(300),
  ],
];
/** Such as can't be given apart from their options. */
const dashed = ["--x", "--json", "--no-text", "--", "--text=", "--help"];
const notNumbers = [
  "0x10",
  "1e3",
  "1e999",
  "NaN",
  "Infinity",
  "",
  " ",
  "1.5",
  "-1",
  "+1",
  "007",
  "9007199254740992",
  "1_000",
  "٣",
  "five",
];
export const pictures = ["1", "a b.png", "é.png", "-p.png", "1e2"];

export function generate(seed: number): ArgumentList {
  const key = { key: seedKey(seed), stream: 0xa96 };
  let index = 0;
  const below = (n: number) => randomBits(key, index++) % n;
  const pick = <T>(items: readonly T[]): T => items[below(items.length)]!;
  const one = (chance: number) => below(1000) < 1000 * chance;

  const start = draw();
  let status: ArgumentList["status"] = start.status;
  let command = start.command.split(" ");
  const words: string[][] = [...start.operands.map((operand) => [operand]), ...start.options.map(write)];
  if (start.command === "import" && one(0.3)) words.push([pick(flags.import!)]);
  const json = one(0.6);
  let version = false;

  const flaws = start.long ? 1 + below(2) : pick([0, 0, 0, 0, 1, 1, 2]);
  for (let flaw = 0; flaw < flaws; flaw++) {
    status = 2;
    ruin();
  }
  for (let i = words.length - 1; i > 0; i--) {
    const j = below(i + 1);
    [words[i], words[j]] = [words[j]!, words[i]!];
  }
  const args = [...command, ...words.flat()];
  if (json) args.splice(pick([0, args.length]), 0, "--json");
  if (one(0.03)) {
    args.unshift("--version");
    version = true;
    status = 0;
  }
  const echo = version || status > 0 ? {} : (start.echo ?? {});
  return { seed, args, status, json, echo, named: status === 1 ? start.named! : "" };

  /** An option as it is typed: its value apart, or behind an equals sign. */
  function write({ name, value }: Option): string[] {
    if (value === null) return [name];
    const short = name.length === 2;
    const apart = !value.startsWith("--") && (short || !/^-[kh]$/.test(value));
    if (short) return one(0.5) && value !== "" ? [`${name}${value}`] : [name, value];
    return apart && one(0.6) ? [name, value] : [`${name}=${value}`];
  }

  function draw(): Start {
    const text = () =>
      one(0.1) ? "" : one(0.1) ? pick(dashed) : pick(one(0.4) ? oddities.slice(0, 11) : oddities);
    const missing = () => `no/${pick(oddities)}`;
    const out = () => `out ${seed}/${pick(oddities.filter(({ length }) => length < 200))}`;
    const kind = pick([
      "embed",
      "embed",
      "import",
      "import",
      "export",
      "eval",
      "search",
      "train",
      "train",
      "resume",
      "profile",
      "results",
      "doctor",
      "score",
      "audit",
      "data check",
      "submit check",
      "roam",
    ]);
    const option = (name: string, value: string): Option => ({ name, value });
    const start = (command: string, options: Option[], more: Partial<Start> = {}): Start => ({
      ...{ command, options, operands: [], status: 0 },
      ...more,
    });
    const failing = (named: string, command: string, options: Option[], operands: string[] = []) =>
      start(command, options, { status: 1, named, operands });
    const lost = missing();
    switch (kind) {
      case "embed": {
        const words = text();
        const image = one(0.3) ? pick(pictures) : undefined;
        const given = { ...(image !== undefined && { image }), text: words };
        const options = Object.entries(given).map(([name, value]) => option(`--${name}`, value));
        if (one(0.4)) return failing(lost, "embed", [option("--checkpoint", lost), ...options]);
        const echo = { ...given, kind: image === undefined ? "text" : "query" };
        return start("embed", [option("--checkpoint", pick(["tiny", "007"])), ...options], { echo });
      }
      case "import": {
        const to = out();
        const options = [option("--out", to)];
        if (one(0.6)) return start("import", options, { operands: [pick(["hf", "7"])], echo: { out: to } });
        // An empty pattern is a mistake.
        const patterns = [text(), text()].map((pattern) => (pattern.trim() === "" ? "*.aux" : pattern));
        const ignored = patterns.map((value) => ({ ...option("--ignore", value), many: true }));
        return failing(lost, "import", [...options, ...ignored], [lost]);
      }
      case "export": {
        const to = `${out()}/x`;
        const options = [option("--format", "safetensors-hf"), option("--out", to)];
        const files = [to, ...["config.json", "vocab.txt"].map((name) => `${to.slice(0, -1)}${name}`)];
        if (one(0.5)) return failing(lost, "export", [option("--run", lost), ...options]);
        return start("export", [option("--run", "tiny"), ...options], { echo: { run: "tiny", files } });
      }
      case "eval":
        return failing(lost, "eval", [option("--run", lost), { ...option("--split", text()), many: true }]);
      case "search": {
        const rest = [option("--image", pick(pictures)), option("--text", text())];
        return failing(lost, "search", [option("--run", lost), ...rest, option("-k", `${1 + below(128)}`)]);
      }
      case "train": {
        const config = pick([lost, "broken.json", "1", "hf", "hf/config.json"]);
        const rest = [option("--seed", `${2 ** below(53)}`), option("--out", out())];
        const set = ["training.clip=1e2", "name=007", "training.groups=[]"].filter(() => one(0.2));
        const sets = set.map((value) => ({ ...option("--set", value), many: true }));
        return failing(config, "train", [option("--config", config), ...rest, ...sets]);
      }
      case "resume": {
        const run = pick([lost, "tiny"]);
        return failing(run, "train", [option("--resume", run), option("--steps", `${1 + below(9)}`)]);
      }
      case "profile": {
        const config = pick([lost, "broken.json"]);
        return failing(config, "profile", [option("--config", config)]);
      }
      case "score": {
        const rest = ["queries", "gallery"].map((name) => option(`--${name}`, pick(oddities)));
        const of = [option("--data", pick(["cirr", "circo", "fashioniq"])), option("--root", lost)];
        return failing(lost, "score", [...of, option("--split", "val"), ...rest]);
      }
      case "audit": {
        const rest = ["queries", "text-queries", "gallery"].map((name) =>
          option(`--${name}`, pick(oddities)),
        );
        const of = [
          option("--data", pick(["cirr", "lasco"])),
          option("--root", lost),
          option("--out", out()),
        ];
        return failing(lost, "audit", [...of, option("--split", "val"), ...rest]);
      }
      case "data check":
        return failing(lost, kind, [option("--data", "cirr"), option("--root", lost)]);
      case "roam": {
        const rest = ["questions", "annotations"].map((name) => option(`--${name}`, pick(oddities)));
        return failing(lost.slice(3), kind, [...rest, option("--pairs", lost), option("--out", out())]);
      }
      case "submit check":
        return failing(lost.slice(3), kind, [option("--split", text())], [lost]);
      case "results":
        if (one(0.3)) return start("results", [], { long: true });
        return failing(lost, "results", [option("--config", lost), option("--page", out())]);
      default:
        return start("doctor", [], { long: !one(0.05) });
    }
  }

  /** Puts in something that can't be understood. */
  function ruin(): void {
    const number = pick(numbers[start.command] ?? [["", 0, 0]]);
    const choice = pick(choices[start.command] ?? [""]);
    const needed = start.options.filter(
      ({ name }) =>
        ["--run", "--checkpoint", "--format", "--data", "--root", "--questions", "--pairs"].includes(name) ||
        (name === "--out" && ["import", "export", "roam"].includes(start.command)),
    );
    const without = (name: string) => {
      for (let i = words.length - 1; i >= 0; i--) {
        if (
          words[i]![0] === name ||
          words[i]![0]!.startsWith(`${name}=`) ||
          (name.length === 2 && words[i]![0]!.startsWith(name))
        )
          words.splice(i, 1);
      }
    };
    switch (below(11)) {
      case 0:
        words.push([
          pick([
            "--unknown",
            "--txt",
            "--Text",
            "--__proto__",
            "--constructor",
            "--toString",
            "--no-json",
            "-z",
            "--out-",
            "--versions",
          ]),
        ]);
        return;
      case 1:
        words.push([`${pick(["--unknown", "--no-fresh", "--hasOwnProperty", "---x"])}=${pick(oddities)}`]);
        return;
      case 2:
        words.push(
          pick([[pick(["more", "", "007", "é", "a\u001bb"])], ["extra", "extra"]]),
          ...(start.command === "import" ? [["third"]] : []),
        );
        return;
      case 3:
        // Behind two dashes everything is an operand.
        words.push(["--unknown-before-dashes", "--", "--json-like", "-k"]);
        return;
      case 4:
        if (start.options.length === 0) break;
        {
          const twice = pick(start.options.filter(({ many }) => !many));
          words.push(write(twice), write(twice));
        }
        return;
      case 5:
        if (number[0] === "") break;
        without(number[0]);
        words.push(
          write({ name: number[0], value: pick([...notNumbers, `${number[2] + 1}`, `${number[1] - 1}`]) }),
        );
        return;
      case 6:
        if (choice === "") break;
        without(choice);
        words.push(write({ name: choice, value: pick(["f64", "", "F32", "text", "safetensors", "007"]) }));
        return;
      case 7:
        if (needed.length === 0) break;
        without(pick(needed).name);
        return;
      case 8:
        if (needed.length === 0) break;
        // An option whose value was forgotten, in front of another one.
        without(needed[0]!.name);
        words.push([needed[0]!.name, "--its-value"]);
        return;
      case 9:
        command = [
          pick([
            "",
            "flatten",
            "Embed",
            "embed ",
            "--embed",
            "-",
            "constructor",
            "\u001b[2Jembed",
            "data check",
            "data",
          ]),
        ];
        return;
      default:
        words.push([`${pick(flags[start.command] ?? ["--json"])}=${pick(["true", "false", "1", ""])}`]);
        if (!flags[start.command]) words.push(["--json=1"]);
        return;
    }
    words.push(["--never-heard-of"]);
  }
}
