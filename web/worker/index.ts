// The worker's end: calls in, answers and news out.
import { config } from "zod";
import { Engine } from "../../engine/index.ts";
import type { Calls, News } from "../messages.ts";
import { type Answers, answer, port } from "./answer.ts";
import { Desk } from "./search/desk.ts";
import type { TrainDesk } from "./train.ts";

// zod would try whether it may compile code, which the page's policy forbids and the console would tell.
config({ jitless: true });

const tell = (news: News) => port.postMessage(news);

// Vite puts the worker into assets/, beside which the rest of the page lies.
const site = new URL("../", location.href);
const desk = new Desk(site, tell);

/** For who trains: a good part of the page's code. */
let training: Promise<TrainDesk> | null = null;
const trainDesk = () => {
  training ??= import("./train.ts").then(
    ({ TrainDesk }) => new TrainDesk(desk.gallery, new URL("gallery/", site), tell),
  );
  return training;
};

/** Other tabs of this page: pictures came or went. */
const tabs = new BroadcastChannel("casement-pictures");
tabs.onmessage = () => void desk.reread().catch(() => {});
const changed = async <T>(work: Promise<T>): Promise<T> => {
  const value = await work;
  tabs.postMessage(null);
  return value;
};

let checking = false;

const calls: Answers<Calls> = {
  open: () => desk.open(),
  refer: (given: Parameters<Calls["refer"]>[0]) => desk.refer(given),
  search: (question: Parameters<Calls["search"]>[0]) => desk.search(question),
  look: (question: Parameters<Calls["look"]>[0]) => desk.look(question),
  addPictures: (files: Parameters<Calls["addPictures"]>[0]) => changed(desk.addPictures(files)),
  stopAdding: async () => desk.stopAdding(),
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
  openRun: async () => (await trainDesk()).open(),
  estimateRun: async (config: Parameters<Calls["estimateRun"]>[0]) => (await trainDesk()).estimate(config),
  startRun: async (config: Parameters<Calls["startRun"]>[0]) => (await trainDesk()).start(config),
  pauseRun: async () => (await trainDesk()).pause(),
  resumeRun: async (steps: Parameters<Calls["resumeRun"]>[0]) => (await trainDesk()).resume(steps),
  removeRun: async () => (await trainDesk()).remove(),
  loadRun: async (given: Parameters<Calls["loadRun"]>[0]) => (await trainDesk()).load(given),
  runFiles: async () => (await trainDesk()).files(),
};

answer<Calls>(calls);
