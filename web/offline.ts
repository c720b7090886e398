// The service worker: all files of one build are kept, so that the page works without a network from then on. Another
// build has other bytes in this file, so the browser installs it beside the old one, which goes with its last tab.

/** Put in front by the build: every file's address, and a name for these very files. */
declare const site: { files: readonly string[]; version: string };

interface Worker {
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchHeard) => void): void;
  clients: { claim(): Promise<void> };
}
interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}
interface FetchHeard {
  request: Request;
  respondWith(answer: Promise<Response>): void;
}

const worker = globalThis as unknown as Worker;
const prefix = "casement ";
const cacheName = prefix + site.version;

worker.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(cacheName);
    await cache.addAll(site.files.map((file) => new Request(file, { cache: "no-cache" })));
  };
  event.waitUntil(keep());
});

worker.addEventListener("activate", (event) => {
  const tidy = async () => {
    for (const other of await caches.keys())
      if (other.startsWith(prefix) && other !== cacheName) await caches.delete(other);
    await worker.clients.claim();
  };
  event.waitUntil(tidy());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || new URL(request.url).origin !== location.origin) return;
  const answer = async () => {
    const cache = await caches.open(cacheName);
    // Servers may send Vary: Origin, and some of the page's requests have an origin and others none.
    const options = { ignoreSearch: true, ignoreVary: true };
    return (await cache.match(request, options)) ?? fetch(request);
  };
  event.respondWith(answer());
});
