// What this system needs before Dawn finds an adapter and browser tests run: found out with Node's
// built-ins alone, as steps that setup.mjs can carry out and doctor.ts can print.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The oldest Mesa whose Vulkan drivers Dawn accepts. */
const OLDEST_MESA = 23;

const ICD_FOLDERS = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

const BROWSERS = {
  linux: ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
  darwin: [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
  ],
  win32: ["C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe"],
};

/** Runs a command quietly and returns its standard output, or "" where it fails or is missing. */
function output(command, ...args) {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return "";
  }
}

function onPath(command) {
  return (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, command)));
}

/** The fields of /etc/os-release, empty on systems without one. */
function osRelease() {
  if (!existsSync("/etc/os-release")) return {};
  const lines = readFileSync("/etc/os-release", "utf8").matchAll(/^(\w+)="?([^"\n]*)"?$/gm);
  return Object.fromEntries([...lines].map(([, key, value]) => [key, value]));
}

/** The Chromium or Chrome that browser tests use, or undefined; CASEMENT_CHROMIUM, where set, decides. */
export function findChromium() {
  const { CASEMENT_CHROMIUM: named } = process.env;
  return (named ? [named] : (BROWSERS[process.platform] ?? [])).find((path) => existsSync(path));
}

/** What can be seen of Vulkan on Linux without loading it: the loader, the driver manifests, Mesa's version. */
export function surveyVulkan() {
  const named = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  const drivers = named
    ? named.split(delimiter).filter((path) => existsSync(path))
    : ICD_FOLDERS.filter((folder) => existsSync(folder)).flatMap((folder) =>
        readdirSync(folder)
          .filter((name) => name.endsWith(".json"))
          .map((name) => join(folder, name)),
      );
  // ldconfig sits in /sbin, which is often not on an ordinary user's PATH.
  const cache = output("ldconfig", "-p") || output("/sbin/ldconfig", "-p");
  return {
    loader: cache.includes("libvulkan.so.1"),
    drivers,
    mesa: output("dpkg-query", "-W", "mesa-vulkan-drivers").split("\t")[1]?.trim() ?? "",
  };
}

/** One line on why no adapter was found, as far as a survey can tell. */
export function explainMissingAdapter() {
  if (process.platform !== "linux") return "Dawn found no adapter: the graphics driver may need an update.";
  const { loader, drivers, mesa } = surveyVulkan();
  if (!loader) return "The Vulkan loader (libvulkan.so.1) is not installed.";
  if (drivers.length === 0) return "The Vulkan loader is there, but no Vulkan driver is installed.";
  const major = Number.parseInt(mesa.replace(/^\d+:/, ""), 10);
  if (major < OLDEST_MESA) return `Mesa ${mesa} is too old: Dawn needs ${OLDEST_MESA} or newer.`;
  return `Vulkan drivers are there (${drivers.map((path) => basename(path)).join(", ")}), but Dawn accepts none.`;
}

/**
 * Requests an adapter through the `webgpu` package in a child process.
 * @returns what cli/probe.mjs reports, or undefined with the driver's own messages in `log`.
 */
export function probeAdapter() {
  const child = spawnSync(process.execPath, [fileURLToPath(new URL("./probe.mjs", import.meta.url))], {
    encoding: "utf8",
    // Mesa and the loader write two harmless complaints where this is unset.
    env: { ...process.env, XDG_RUNTIME_DIR: process.env.XDG_RUNTIME_DIR ?? tmpdir() },
    timeout: 60_000,
  });
  const adapter = child.status === 0 ? JSON.parse(child.stdout) : undefined;
  const ending = child.signal ? `the process was ended by ${child.signal}\n` : "";
  return { adapter, log: `${child.stderr ?? ""}${ending}`.trim() };
}

/** The Debian package sources of this machine, as lists of fields. */
function debianSources() {
  const folder = "/etc/apt/sources.list.d";
  const files = existsSync(folder) ? readdirSync(folder).map((name) => join(folder, name)) : [];
  const sources = [];
  for (const path of files.filter((name) => name.endsWith(".sources"))) {
    const text = readFileSync(path, "utf8").replace(/^#.*\n?/gm, "");
    for (const stanza of text.split(/\n\s*\n/)) {
      const fields = {};
      // A field's value runs on over the indented lines that follow it (an inlined key, for one).
      for (const [, key, value] of stanza.matchAll(/^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
        fields[key.toLowerCase()] = value;
      }
      if (fields.enabled?.toLowerCase() !== "no" && /\bdeb\b/.test(fields.types ?? "")) sources.push(fields);
    }
  }
  for (const path of ["/etc/apt/sources.list", ...files.filter((name) => name.endsWith(".list"))]) {
    if (!existsSync(path)) continue;
    const lines = readFileSync(path, "utf8").matchAll(/^deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.*)$/gm);
    for (const [, options = "", uris, suites, components] of lines) {
      sources.push({ uris, suites, components, "signed-by": /signed-by=(\S+)/.exec(options)?.[1] });
    }
  }
  return sources;
}

/** The deb822 source for a suite's backports, its address and key taken from the suite's own source. */
function backportsSource(codename) {
  const sources = debianSources();
  const has = (source, suite) => source.suites?.split(/\s+/).includes(suite);
  if (sources.some((source) => has(source, `${codename}-backports`))) return undefined;
  const main = sources.find((source) => has(source, codename) && /\bmain\b/.test(source.components ?? ""));
  if (!main) return undefined;
  const signedBy = main["signed-by"] ? `Signed-By: ${main["signed-by"]}\n` : "";
  return `Types: deb\nURIs: ${main.uris}\nSuites: ${codename}-backports\nComponents: main\n${signedBy}`;
}

/**
 * The steps that give this system a Vulkan driver Dawn accepts.
 * @returns `steps` (a command as `run`, or a file to `write` with its `text`), with `automatic` true where
 * setup.mjs knows how to take them; and `note`, for systems where no commands can be given.
 */
export function adapterPlan() {
  if (process.platform !== "linux") {
    return { automatic: false, steps: [], note: "Update the operating system and its graphics driver." };
  }
  if (onPath("apt-get")) {
    const { ID: id, VERSION_CODENAME: codename } = osRelease();
    // Debian 12 itself has Mesa 22.3; its backports have one that Dawn accepts.
    const backports = id === "debian" && codename === "bookworm";
    const text = backports ? backportsSource(codename) : undefined;
    const target = backports ? ["-t", `${codename}-backports`] : [];
    return {
      automatic: true,
      steps: [
        ...(text ? [{ write: "/etc/apt/sources.list.d/casement-backports.sources", text }] : []),
        { run: ["apt-get", "update"] },
        { run: ["apt-get", "install", "-y", ...target, "mesa-vulkan-drivers", "libvulkan1"] },
      ],
    };
  }
  const others = {
    dnf: ["install", "-y", "mesa-vulkan-drivers", "vulkan-loader"],
    pacman: ["-S", "--needed", "vulkan-icd-loader", "vulkan-swrast"],
    zypper: ["install", "-y", "libvulkan1", "libvulkan_lvp"],
  };
  const manager = Object.keys(others).find(onPath);
  if (manager) return { automatic: false, steps: [{ run: [manager, ...others[manager]] }] };
  const note = `Install a Vulkan loader (libvulkan.so.1) and a Vulkan driver: the GPU's own, or Mesa ${OLDEST_MESA} or newer.`;
  return { automatic: false, steps: [], note };
}

/** The steps that install a browser for the browser tests; none where that is not known to work. */
export function browserPlan() {
  // Ubuntu's package of that name only points at a snap, which containers can't install.
  if (process.platform !== "linux" || !onPath("apt-get") || osRelease().ID !== "debian") return { steps: [] };
  return { steps: [{ run: ["apt-get", "update"] }, { run: ["apt-get", "install", "-y", "chromium"] }] };
}

/** A plan as shell lines ready to be pasted, with sudo where this process is not root. */
export function planLines(plan) {
  const sudo = process.getuid?.() === 0 ? "" : "sudo ";
  const lines = plan.steps.map((step) =>
    step.run
      ? `${sudo}${step.run.join(" ")}`
      : `${sudo}tee ${step.write} >/dev/null <<'END'\n${step.text.trimEnd()}\nEND`,
  );
  return plan.note ? [plan.note, ...lines] : lines;
}
