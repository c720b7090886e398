// The worker's end: calls in, answers and news out.
import { config } from "zod";
import { Engine } from "../../engine/index.ts";
import type { Asked, Calls, News, Told } from "../messages.ts";
import { Desk } from "./desk.ts";

// zod would try whether it may compile code, which the page's policy forbids and the console would tell.
config({ jitless: true });

interface Port {
  postMessage(message: Told): void;
  onmessage: ((event: MessageEvent<Asked>) => void) | null;
}
const port = globalThis as unknown as Port;
const tell = (news: News) => port.postMessage(news);

// Vite puts the worker into assets/, beside which the rest of the page lies.
const desk = new Desk(new URL("../", location.href), tell);

/** Other tabs of this page: pictures came or went. */
const tabs = new BroadcastChannel("casement-pictures");
tabs.onmessage = () => void desk.reread().catch(() => {});
const changed = async <T>(work: Promise<T>): Promise<T> => {
  const value = await work;
  tabs.postMessage(null);
  return value;
};

let checking = false;

const calls: { [K in keyof Calls]: (argument: never) => ReturnType<Calls[K]> } = {
  open: () => desk.open(),
  refer: (given: Parameters<Calls["refer"]>[0]) => desk.refer(given),
  search: (question: Parameters<Calls["search"]>[0]) => desk.search(question),
  look: (question: Parameters<Calls["look"]>[0]) => desk.look(question),
  addPictures: (files: Parameters<Calls["addPictures"]>[0]) => changed(desk.addPictures(files)),
  removeOwn: () => changed(desk.removeOwn()),
  openModel: (files: Parameters<Calls["openModel"]>[0]) => desk.openModel(files),
  usualModel: () => desk.usualModel(),
  embedGallery: () => desk.embedGallery(),
  device: () => desk.device(),
  async check() {
    // Half of the page's code, for who asks for it.
    const { checkDriver, driverCases } = await import("../../cases/driver.ts");
    checking = true;
    for await (const verdict of checkDriver(() => Engine.create({ poison: true }))) {
      tell({ kind: "verdict", verdict, total: driverCases.length });
      if (!checking) return false;
    }
    return true;
  },
  async stop() {
    checking = false;
  },
};

port.onmessage = async ({ data: { id, call, argument } }) => {
  try {
    const answer = calls[call] as (argument: unknown) => Promise<unknown>;
    port.postMessage({ id, value: await answer(argument) });
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(`${error}`);
    port.postMessage({ id, error: { name, message } });
  }
};
