// What to do where there is no WebGPU: which browsers have it, and how it is switched on.
import { el } from "./dom.ts";

const browsers: readonly [name: string, words: string][] = [
  [
    "Chrome, Edge, Opera",
    "on Windows, macOS, ChromeOS and Android: version 113 (Android 121) or later, with nothing to switch on",
  ],
  [
    "Chrome on Linux",
    "version 144 or later with a new enough driver; before, chrome://flags/#enable-unsafe-webgpu and #enable-vulkan must be on",
  ],
  ["Safari", "version 26 or later; before, Settings, Feature Flags, WebGPU"],
  ["Firefox", "on Windows version 141, on macOS 145 or later; elsewhere dom.webgpu.enabled in about:config"],
];

export function missingNotice(reason: string): HTMLElement {
  return el(
    "section",
    { class: "card missing", attributes: { role: "alert" } },
    el("h2", { text: "This browser gives the page no GPU" }),
    el("p", {
      text: `${reason} The search by raw pixels works all the same; the model, and so the text, needs WebGPU.`,
    }),
    isSecureContext
      ? null
      : el("p", {
          text: "The address is not secure: WebGPU is there for https addresses and for localhost alone.",
        }),
    el(
      "dl",
      {},
      ...browsers.flatMap(([name, words]) => [el("dt", { text: name }), el("dd", { text: words })]),
    ),
    el("p", {
      text: "Where the browser is new enough: switch on hardware acceleration in its settings, update the graphics driver, and look at chrome://gpu or about:support, which say why a GPU is refused.",
    }),
  );
}
