// `npm run docs`: one site of the guides, the pages of docs/ and the reference of what the package exports, by TypeDoc.
// `npm run docs -- --out DIR` writes it elsewhere than to site/. What would be a dead link fails.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = fileURLToPath(new URL(".", import.meta.url));
const root = join(here, "../..");
const { out } = parseArgs({ options: { out: { type: "string", default: join(root, "site") } } }).values;

/** The exit status where npm can't get TypeDoc. */
const notInstalled = 3;

const versionOf = (name) => {
  const file = join(here, "node_modules", name, "package.json");
  return existsSync(file) && JSON.parse(readFileSync(file, "utf8")).version;
};
const { dependencies } = JSON.parse(readFileSync(join(here, "package.json"), "utf8"));
if (Object.keys(dependencies).some((name) => versionOf(name) !== dependencies[name])) {
  console.log("Installing TypeDoc into docs/typedoc (once) ...");
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
  const npm = spawnSync("npm", args, { cwd: here, encoding: "utf8", shell: process.platform === "win32" });
  if (npm.status !== 0) {
    console.error(`npm ci in ${here} failed:\n${npm.stdout}${npm.stderr}`);
    process.exit(notInstalled);
  }
}
const { Application, Converter, ReflectionKind } = await import("typedoc");

const { exports: exported } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const app = await Application.bootstrapWithPlugins({
  name: "casement",
  tsconfig: join(root, "tsconfig.build.json"),
  // What package.json exports.
  entryPoints: Object.values(exported).flatMap(({ types }) =>
    types ? [join(root, types.replace("./dist/", "").replace(".d.ts", ".ts"))] : [],
  ),
  projectDocuments: ["docs/guides/*.md", "docs/*.md", "examples/**/README.md"].map((pages) =>
    join(root, pages),
  ),
  readme: join(root, "README.md"),
  out: resolve(out),
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: true,
  excludeExternals: true,
  requiredToBeDocumented: ["Class", "Function", "Method", "Variable"],
  validation: { invalidLink: true, invalidPath: true, notDocumented: true, notExported: false },
  groupOrder: ["Guides", "Pages", "Modules"],
  navigation: { includeGroups: true },
  searchInDocuments: true,
  highlightLanguages: [
    "console",
    "html",
    "javascript",
    "json",
    "python",
    "shellscript",
    "typescript",
    "wgsl",
  ],
  logLevel: "Warn",
});

app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_, document) => {
  document.frontmatter.group = document.name.includes("guides/") ? "Guides" : "Pages";
  // The title is the first heading, as for every other reader of the file.
  document.name = /^# (.*)/.exec(document.content[0].text)[1];
});

/**
 * What a file says of all functions from a place on: comments that stand by themselves between declarations hold for those
 * below them, up to the next one, or to the file's end where they begin with "Every function below:".
 */
function notesAt(text, position) {
  let [always, section] = ["", ""];
  let at = 0;
  for (const part of text.slice(0, position).split("\n\n")) {
    const note =
      at > 0 && /^(\/\/ .*\n?)+$/.test(part) ? part.replaceAll(/^\/\/ /gm, "").replaceAll("\n", " ") : "";
    const [, whole] = /^Every function below: (.*)/.exec(note) ?? [];
    if (whole) [always, section] = [whole, ""];
    else if (note) section = note;
    at += part.length;
  }
  return always ? [always, section] : [];
}

app.converter.on(Converter.EVENT_RESOLVE_BEGIN, (context) => {
  for (const one of context.project.getReflectionsByKind(ReflectionKind.Function)) {
    const [declaration] = context.getSymbolFromReflection(one)?.declarations ?? [];
    if (!declaration) continue;
    const notes = notesAt(declaration.getSourceFile().text, declaration.pos).filter(Boolean);
    if (notes.length === 0) continue;
    const text = notes
      .map((note) => note.replace(/^[a-z](?!\d)/, (first) => first.toUpperCase()))
      .join("\n\n");
    for (const { comment } of one.signatures) comment?.summary.push({ kind: "text", text: `\n\n${text}` });
  }
});

// Lists of kernels are for the project's own tests and profiles.
app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
  for (const one of project.getReflectionsByKind(ReflectionKind.Variable))
    if (one.name.endsWith("Kernels")) project.removeReflection(one);
});

const project = await app.convert();
if (!project) process.exit(1);
// The page has the project's name for a title already.
project.readme[0].text = project.readme[0].text.replace(/^# .*\n+/, "");
app.validate(project);
await app.generateOutputs(project);
if (app.logger.hasErrors() || app.logger.hasWarnings()) process.exit(1);
console.log(`${basename(out)}/index.html`);
