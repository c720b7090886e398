// The engines of others: installs them into bench/peers when they are first wanted, and starts their processes.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ask, type Side } from "./protocol.ts";

const folder = fileURLToPath(new URL("./peers/", import.meta.url));

const programs = [
  { name: "tfjs", path: "peers/tfjs.ts", args: [] },
  { name: "jax-js", path: "peers/jax.ts", args: [] },
  { name: "onnxruntime-webgpu", path: "peers/onnx.ts", args: ["webgpu"] },
  { name: "onnxruntime-cpu", path: "peers/onnx.ts", args: ["cpu"] },
];

/** Whether bench/peers/node_modules holds the versions that its package.json names. */
function installed(): boolean {
  const json = (path: string) => JSON.parse(readFileSync(`${folder}${path}`, "utf8"));
  return Object.entries<string>(json("package.json").dependencies).every(([name, version]) => {
    const path = `node_modules/${name}/package.json`;
    return existsSync(`${folder}${path}`) && json(path).version === version;
  });
}

/** Installs the peers unless they are there. Throws where npm fails. */
export function installPeers(message: (text: string) => void): void {
  if (installed()) return;
  message("Installing the peers into bench/peers (once) ...");
  const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: folder,
    // Their own download is for CUDA only.
    env: { ...process.env, ONNXRUNTIME_NODE_INSTALL: "skip" },
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (npm.status !== 0) throw new Error(`npm ci in ${folder} failed:\n${npm.stdout}${npm.stderr}`);
}

/** Starts the peers. One that does not come up, or sits on another adapter than `adapter`, is left out with a line. */
export async function startPeers(adapter: string, message: (text: string) => void) {
  const started = await Promise.all(
    programs.map(async ({ name, path, args }) => {
      const { side, end } = ask<Side>(path, args);
      try {
        const theirs = await side.open();
        if (theirs !== null && theirs !== adapter)
          throw new Error(`it is on "${theirs}", we are on "${adapter}"`);
        return { name, side, end };
      } catch (error) {
        message(`${name} is left out: ${(error as Error).message}`);
        end();
        return null;
      }
    }),
  );
  return started.filter((peer) => peer !== null);
}
