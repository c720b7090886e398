// Makes a bare checkout ready to run: npm packages, a Vulkan driver that Dawn accepts and, with --browser,
// Chromium. It uses nothing but Node, since nothing else is there yet, and does only what is missing.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  adapterPlan,
  browserPlan,
  explainMissingAdapter,
  findChromium,
  planLines,
  probeAdapter,
  surveyVulkan,
} from "./advice.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const modules = join(root, "node_modules");
const adapterCache = join(modules, ".cache", "casement", "adapter.json");
const isRoot = process.getuid?.() === 0;

const say = (text) => console.log(`setup: ${text}`);
const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));

/** Ends the setup with a message on standard error; further lines stay bare, ready to be pasted. */
function fail(message, ...lines) {
  console.error([`setup: ${message}`, ...lines].join("\n"));
  process.exit(1);
}

/** Runs a command; returns undefined on success, else what failed with the last lines it wrote. */
function attempt(command, args) {
  const child = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    maxBuffer: 1 << 28,
    // npm is a .cmd file on Windows, which only a shell can start.
    shell: process.platform === "win32",
  });
  if (child.status === 0) return undefined;
  const text = `${child.stdout ?? ""}${child.stderr ?? ""}${child.error ? `${child.error.message}\n` : ""}`;
  const lines = text.trimEnd().split("\n");
  // npm names the cause first and ends with its usage; apt names it last.
  const shown = lines.length > 24 ? [...lines.slice(0, 10), "...", ...lines.slice(-12)] : lines;
  return `\`${[command, ...args].join(" ")}\` failed (${child.signal ?? `exit ${child.status}`}). It wrote:\n  ${shown.join("\n  ")}`;
}

/** Takes a plan's steps in order; returns undefined, or what failed. */
function carryOut(plan) {
  for (const step of plan.steps) {
    if (step.write) {
      writeFileSync(step.write, step.text);
      continue;
    }
    const [command, ...args] = step.run;
    // Another apt may hold the lock: on fresh machines one often runs at start.
    const waiting = command === "apt-get" ? ["-o", "DPkg::Lock::Timeout=300"] : [];
    const failure = attempt(command, [...waiting, ...args]);
    if (failure) return failure;
  }
  return undefined;
}

/** Whether node_modules holds just what package-lock.json says for this platform. */
function packagesInStep() {
  const hidden = join(modules, ".package-lock.json");
  if (!existsSync(hidden)) return false;
  const wanted = readJson(join(root, "package-lock.json")).packages;
  const installed = readJson(hidden).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === "") continue;
    const found = installed[path];
    // npm leaves out optional packages made for other platforms.
    if (!found && entry.optional) continue;
    if (found?.version !== entry.version || found?.integrity !== entry.integrity) return false;
    if (!existsSync(join(root, path, "package.json"))) return false;
  }
  return Object.keys(installed).every((path) => path in wanted);
}

function ensurePackages() {
  if (packagesInStep()) return;
  say("node_modules is missing or out of step with package-lock.json: running npm ci --ignore-scripts");
  const args = ["ci", "--ignore-scripts", "--include=dev", "--no-audit", "--no-fund"];
  const failure = attempt("npm", args);
  if (failure) fail(failure);
}

/** `npx casement` runs this checkout's own command line, for which its file must be executable. */
function ensureExecutable() {
  const path = join(root, "cli", "casement.mjs");
  if (process.platform === "win32" || statSync(path).mode & 0o100) return;
  try {
    chmodSync(path, 0o755);
  } catch {
    say(`${path} is not executable and belongs to another user: \`npx casement\` will not start`);
  }
}

/** What a good answer about the adapter depends on: while it stays the same, the answer is not asked for again. */
function adapterKey() {
  const { version } = readJson(join(modules, "webgpu", "package.json"));
  const survey = process.platform === "linux" ? surveyVulkan() : { drivers: [] };
  const manifests = survey.drivers.map((path) => [path, statSync(path).mtimeMs]);
  return JSON.stringify([process.platform, process.arch, version, survey.loader, survey.mesa, manifests]);
}

/** Requests an adapter unless an earlier run found one in the same circumstances. */
function adapterFound() {
  const key = adapterKey();
  if (existsSync(adapterCache) && readJson(adapterCache).key === key) return true;
  const { adapter } = probeAdapter();
  if (!adapter) return false;
  say(`the adapter is ${adapter.description || adapter.device || adapter.vendor}`);
  try {
    mkdirSync(dirname(adapterCache), { recursive: true });
    writeFileSync(adapterCache, JSON.stringify({ key }));
  } catch {
    // A checkout this user may not write to: the next run asks again.
  }
  return true;
}

function ensureAdapter() {
  if (adapterFound()) return;
  const reason = explainMissingAdapter();
  const plan = adapterPlan();
  if (!plan.automatic || !isRoot) fail(`no WebGPU adapter. ${reason} To get one:`, ...planLines(plan));
  const commands = plan.steps.map((step) => (step.run ? step.run.join(" ") : `write ${step.write}`));
  say(`no WebGPU adapter. ${reason} Installing one: ${commands.join("; ")}`);
  rmSync(adapterCache, { force: true });
  const failure = carryOut(plan);
  if (failure) fail(failure);
  if (!adapterFound()) fail(`still no WebGPU adapter. ${explainMissingAdapter()}`, probeAdapter().log);
}

function ensureBrowser() {
  if (findChromium()) return;
  const plan = browserPlan();
  if (plan.steps.length === 0) {
    return say("no Chromium here: browser tests will be skipped (CASEMENT_CHROMIUM can name one)");
  }
  if (!isRoot) {
    return say(`no Chromium here: browser tests will be skipped. To get it: ${planLines(plan).join(" && ")}`);
  }
  say("installing Debian's chromium for the browser tests");
  const failure = carryOut(plan);
  if (failure) say(`${failure}\nsetup: no Chromium: browser tests will be skipped`);
}

ensurePackages();
ensureExecutable();
ensureAdapter();
if (process.argv.includes("--browser")) ensureBrowser();
