// The worker behind the Kernels tab.
import type { KernelCalls, KernelNews } from "../kernels.ts";
import { type Answers, answer, port } from "./answer.ts";
import { KernelDesk } from "./kernels/desk.ts";

const desk = new KernelDesk((news: KernelNews) => port.postMessage(news));

const calls: Answers<KernelCalls> = {
  open: () => desk.open(),
  peak: () => desk.peak(),
  time: (name: string) => desk.time(name),
  kernels: () => desk.kernels(),
  source: (kernel: string) => desk.source(kernel),
  try: (edit: Parameters<KernelCalls["try"]>[0]) => desk.try(edit),
  stop: () => desk.stop(),
};

answer<KernelCalls>(calls);
