// The page: tabs, the worker behind them, and what is said when something is missing.
import { Client } from "./page/client.ts";
import { DevicePanel } from "./page/device.ts";
import { el } from "./page/dom.ts";
import { LibraryPanel } from "./page/library.ts";
import { missingNotice } from "./page/missing.ts";
import { SearchPanel } from "./page/search.ts";
import { tabBar } from "./page/tabs.ts";
import { TrainPanel } from "./page/train.ts";

const status = el("p", { class: "quiet status", text: "Loading", attributes: { role: "status" } });
const notices = el("div", { class: "notices" });
const notice = el("p", { class: "message", attributes: { role: "alert" } });

const worker = new Worker(new URL("./worker/index.ts", import.meta.url), { type: "module" });
const client = new Client(worker, (why) => {
  notice.textContent = `The page's worker has ended (${why}). Load the page again.`;
});
const search = new SearchPanel(client);
const library = new LibraryPanel(client, (gallery) => search.renew(gallery));
const device = new DevicePanel(client);
const train = new TrainPanel(client);

const first = el("div", {}, search.element, library.element);
const second = el("div", {}, device.element);
const bench = el("div");
const training = el("div", {}, train.element);
let isOpen = false;

/** The Kernels tab has an editor and a worker of its own, for who opens it. */
async function openKernels(): Promise<void> {
  if (bench.childElementCount > 0) return;
  const waiting = el("p", { class: "quiet", text: "Loading" });
  bench.append(waiting);
  try {
    const { KernelsPanel } = await import("./page/kernels/panel.ts");
    const panel = new KernelsPanel();
    bench.replaceChildren(panel.element);
    await panel.open();
  } catch (error) {
    waiting.textContent = `The tab could not be loaded: ${(error as Error).message}`;
  }
}
const bar = tabBar([
  { id: "search", title: "Search", panel: first },
  {
    id: "train",
    title: "Train",
    panel: training,
    onOpen: () => {
      if (isOpen) void train.open();
    },
  },
  { id: "kernels", title: "Kernels", panel: bench, onOpen: () => void openKernels() },
  {
    id: "device",
    title: "This device",
    panel: second,
    onOpen: () => {
      if (isOpen) void device.refresh();
    },
  },
]);
document.body.append(
  el("header", {}, el("h1", { text: "casement" }), bar, status),
  el("main", {}, notices, notice, first, training, bench, second),
);

// A file that misses its field would be opened by the browser in the page's place.
for (const type of ["dragover", "drop"] as const) {
  addEventListener(type, (event) => {
    if (!event.dataTransfer?.types.includes("Files") || event.defaultPrevented) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  });
}

client.listen((news) => {
  if (news.kind === "progress" && !isOpen) status.textContent = `${news.what}: ${news.done} of ${news.total}`;
  if (news.kind === "lost")
    notice.textContent = `The GPU was lost (${news.why}). It is being opened again; nothing of yours is gone.`;
  if (news.kind === "back") notice.textContent = "The GPU was lost and is back, with model and pictures.";
  if (news.kind === "gone")
    notice.textContent = `The GPU can't be used any more (${news.why}). Load the page again; your pictures are kept.`;
});

try {
  const opened = await client.call("open");
  isOpen = true;
  const { adapter, reason, model, gallery, sources } = opened;
  status.textContent = adapter ?? "without WebGPU: raw pixels";
  if (reason !== null) notices.append(missingNotice(reason));
  search.open(opened);
  library.open(model, gallery, sources);
  if (!second.hidden) void device.refresh();
  if (adapter === null) train.refuse();
  else if (!training.hidden) void train.open();
} catch (error) {
  status.textContent = "";
  notice.textContent = `The page could not be opened: ${(error as Error).message}`;
}

// Last, so that keeping all files for later does not delay the first answer.
if ("serviceWorker" in navigator && import.meta.env.PROD) {
  navigator.serviceWorker.register("./offline.js").catch((error: Error) => {
    // Private windows refuse it; the page works all the same, with a network.
    console.info(`not kept for offline use: ${error.message}`);
  });
}
