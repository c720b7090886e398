// Tabs by the pattern of the ARIA practices: arrow keys move between them, the address remembers which is open.
import { el } from "./dom.ts";

export interface Tab {
  id: string;
  title: string;
  panel: HTMLElement;
  onOpen?: () => void;
}

export function tabBar(tabs: readonly Tab[]): HTMLElement {
  const buttons = tabs.map(({ id, title }) =>
    el("button", {
      text: title,
      attributes: { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `panel-${id}` },
      on: { click: () => open(id) },
    }),
  );
  for (const { id, panel } of tabs) {
    panel.id = `panel-${id}`;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${id}`);
  }
  const open = (wanted: string) => {
    for (const [i, { id, panel, onOpen }] of tabs.entries()) {
      const isOpen = id === wanted;
      panel.hidden = !isOpen;
      buttons[i]!.setAttribute("aria-selected", `${isOpen}`);
      buttons[i]!.tabIndex = isOpen ? 0 : -1;
      if (isOpen) onOpen?.();
    }
    history.replaceState(null, "", `#${wanted}`);
  };
  const bar = el("div", {
    class: "tabs",
    attributes: { role: "tablist", "aria-label": "Parts of the page" },
    on: {
      keydown: (event) => {
        const { key } = event as KeyboardEvent;
        const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
        const last = buttons.length - 1;
        const to = {
          ArrowRight: at === last ? 0 : at + 1,
          ArrowLeft: at === 0 ? last : at - 1,
          Home: 0,
          End: last,
        }[key];
        if (at < 0 || to === undefined) return;
        event.preventDefault();
        buttons[to]!.focus();
        open(tabs[to]!.id);
      },
    },
  });
  bar.append(...buttons);
  const named = () => tabs.find(({ id }) => id === location.hash.slice(1))?.id;
  open(named() ?? tabs[0]!.id);
  // Somebody has typed another address, or followed a link to one.
  addEventListener("hashchange", () => {
    const wanted = named();
    if (wanted !== undefined) open(wanted);
  });
  return bar;
}
