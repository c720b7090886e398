// This device: what the adapter offers, which kernels run on it and why, and whether it computes right.
import type { Offer } from "../../cases/offers.ts";
import type { Client } from "./client.ts";
import { button, columnHead, el, fill, wideTable } from "./dom.ts";

export class DevicePanel {
  readonly element = el("section", { class: "device" });
  private readonly facts = el("div", { class: "facts" });
  private readonly summary = el("p", { attributes: { role: "status" } });
  private readonly verdicts = el("tbody");
  private readonly table = wideTable(
    "Cases of the check",
    ["op, sizes, type", "verdict", "largest relative error"].map((text) => columnHead(text)),
    this.verdicts,
  );
  private readonly button = button("Check this device", () =>
    this.running ? this.client.call("stop") : this.check(),
  );
  private running = false;

  constructor(private readonly client: Client) {
    this.table.hidden = true;
    this.element.append(
      this.facts,
      el("h2", { text: "Does it compute right?" }),
      el("p", {
        text: "A cut of all ops, forward and backward, against float64: the check of casement doctor --check. It takes seconds on a GPU and minutes on a processor.",
      }),
      el("p", {}, this.button),
      this.summary,
      this.table,
    );
  }

  async refresh(): Promise<void> {
    try {
      const { adapter, features, limits, paths } = await this.client.call("device");
      fill(
        this.facts,
        ...listOf("Adapter", adapter),
        ...listOf("Kernels, and why these", paths),
        ...listOf("Features", features),
        ...listOf("Limits", limits),
      );
    } catch (error) {
      fill(this.facts, el("p", { class: "message", text: (error as Error).message }));
      this.button.disabled = true;
    }
  }

  private async check(): Promise<void> {
    this.running = true;
    this.button.textContent = "Stop";
    this.table.hidden = false;
    fill(this.verdicts);
    this.summary.textContent = "Loading the cases";
    const wrong: string[] = [];
    let [right, skipped] = [0, 0];
    const unlisten = this.client.listen((news) => {
      if (news.kind !== "verdict") return;
      const { name, failures, skipped: why, error } = news.verdict;
      if (failures.length > 0) wrong.push(name);
      else if (why) skipped++;
      else right++;
      const verdict = why
        ? `skipped: ${why}`
        : failures.length > 0
          ? `WRONG: ${failures.join("; ")}`
          : "right";
      this.verdicts.append(
        el(
          "tr",
          { class: failures.length > 0 ? "wrong" : "" },
          el("td", { text: name }),
          el("td", { text: verdict }),
          el("td", { text: why ? "" : error.toExponential(1) }),
        ),
      );
      this.summary.textContent = `${right + skipped + wrong.length} of ${news.total} cases: ${right} right, ${wrong.length} wrong, ${skipped} skipped`;
    });
    try {
      const whole = await this.client.call("check");
      const stopped = whole ? "" : "Stopped. ";
      const advice =
        wrong.length > 0
          ? ` Results of these can't be trusted here; update the driver or the browser: ${wrong.join("; ")}.`
          : "";
      this.summary.textContent = `${stopped}${right} cases are right, ${wrong.length} wrong, ${skipped} could not run here.${advice}`;
    } catch (error) {
      this.summary.textContent = (error as Error).message;
    } finally {
      unlisten();
      this.running = false;
      this.button.textContent = "Check this device";
    }
  }
}

function listOf(title: string, offers: readonly (Offer & { there?: boolean })[]): HTMLElement[] {
  const rows = offers.flatMap(({ name, words, there }) => [
    el("dt", { text: name }),
    el("dd", { text: words.replaceAll("`", ""), class: there === false ? "absent" : "" }),
  ]);
  return [el("h2", { text: title }), el("dl", {}, ...rows)];
}
