// casement as an app gets it: built, packed as npm would publish it, and unpacked into an app's node_modules, with those
// packages beside it that are asked for and no others.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** A file in a development package. */
export const tool = (name: string) => join(root, "node_modules", name);

export interface App {
  folder: string;
  /** What npm would publish. */
  tarball: string;
  manifest: Record<"dependencies" | "peerDependencies" | "devDependencies", Record<string, string>> & {
    peerDependenciesMeta: Record<string, { optional: boolean }>;
  };
  /** Adds packages as this checkout has them. */
  add(...names: string[]): Promise<void>;
  /** Runs Node in the app's folder and returns what it wrote; the error of a failing run quotes that too. */
  node(...args: string[]): string;
  /** Runs the installed command line, in the app's folder or one within; `status` is its exit status. */
  casement(
    args: readonly string[],
    within?: string,
  ): { status: number | null; stdout: string; stderr: string };
  remove(): Promise<void>;
}

/** Builds and installs. Declarations take longest and are left out unless asked for. */
export async function installPacked({ types = false } = {}): Promise<App> {
  const run = (script: string, ...args: string[]) =>
    execFileSync(process.execPath, [tool(script), ...args], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
  run("rolldown/bin/cli.mjs", "--config", "rolldown.config.mjs", "--logLevel", "warn");
  if (types) run("typescript/bin/tsc", "--project", "tsconfig.build.json");

  const folder = await mkdtemp(join(tmpdir(), "casement-app-"));
  const modules = join(folder, "node_modules");
  const cache = join(folder, "cache");
  await mkdir(join(modules, "casement"), { recursive: true });
  const shell = process.platform === "win32";
  const pack = ["pack", "--json", "--ignore-scripts", "--pack-destination", folder];
  const [{ filename }] = JSON.parse(execFileSync("npm", pack, { cwd: root, encoding: "utf8", shell }));
  const tarball = join(folder, filename);
  execFileSync("tar", ["-xzf", tarball, "-C", join(modules, "casement"), "--strip-components=1"]);
  const manifest: App["manifest"] = JSON.parse(
    await readFile(join(modules, "casement/package.json"), "utf8"),
  );
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');

  const start = (args: readonly string[], within = "") =>
    spawnSync(process.execPath, args, {
      cwd: join(folder, within),
      encoding: "utf8",
      env: { ...process.env, XDG_CACHE_HOME: cache },
    });
  const app: App = {
    ...{ folder, tarball, manifest },
    async add(...names) {
      for (const name of names) {
        await mkdir(dirname(join(modules, name)), { recursive: true });
        await symlink(tool(name), join(modules, name), "junction");
      }
    },
    node(...args) {
      const { status, stdout, stderr } = start(args);
      if (status !== 0) throw new Error(`${args.join(" ")} failed:\n${stdout}${stderr}`);
      return stdout;
    },
    casement: (args, within) => start([join(modules, "casement/cli/casement.mjs"), ...args], within),
    remove: () => rm(folder, { recursive: true, force: true, maxRetries: 5 }),
  };
  await app.add(...Object.keys(manifest.dependencies));
  return app;
}
