// Serves a built page: on loopback unless told otherwise, and nothing outside of its folder.
import { fileURLToPath } from "node:url";
import { preview } from "vite";

/** What the page may do, as index.html says too: for workers, which have a policy of their own. */
const policy =
  "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob:; " +
  "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const headers = {
  "Content-Security-Policy": policy,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

export interface Served {
  address: string;
  close(): Promise<void>;
}

const loopback = "127.0.0.1";

/** Serves the folder; port 0 takes any that is free, one that is taken the next. */
export async function serve(folder: string, { host = loopback, port = 4173 } = {}): Promise<Served> {
  const server = await preview({
    root: fileURLToPath(new URL("..", import.meta.url)),
    configFile: false,
    // A path that is no file is not found, rather than answered with the page.
    appType: "mpa",
    logLevel: "error",
    build: { outDir: folder },
    // Who lets other machines in may have given this one a name.
    preview: { host, port, open: false, headers, allowedHosts: host === loopback ? [] : true },
  });
  const address = server.httpServer.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  // Of all addresses the one that is a secure context, without which there is no WebGPU.
  const isAny = address.address === "0.0.0.0" || address.address === "::";
  const name = isAny ? "localhost" : address.family === "IPv6" ? `[${address.address}]` : address.address;
  return { address: `http://${name}:${address.port}/`, close: () => server.close() };
}
