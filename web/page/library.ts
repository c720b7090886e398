// One's own pictures and models: added, counted, removed.
import type { PictureSource } from "../gallery.ts";
import type { GalleryNews, ModelNews, PictureFile } from "../messages.ts";
import { Turns } from "../turns.ts";
import type { Client } from "./client.ts";
import { button, count, el, fill } from "./dom.ts";
import { addFile, dropListeners, fileChooser, type Handed, picturesAmong } from "./files.ts";
import { forgetSights } from "./sight.ts";

interface PickedFolder {
  values(): AsyncIterable<
    PickedFolder & { kind: "file" | "directory"; name: string; getFile(): Promise<File> }
  >;
}
type FolderPicker = () => Promise<PickedFolder>;

export class LibraryPanel {
  readonly element = el("div", { class: "library" });
  private readonly counts = el("p");
  private readonly modelLine = el("p");
  private readonly progress = el("progress", { attributes: { "aria-label": "Progress" } });
  private readonly message = el("div", { class: "message", attributes: { role: "status" } });
  private readonly remove = button("Remove my pictures", () => this.removeOwn());
  private readonly embed = button("Embed the page's gallery too", () => this.embedGallery());
  private readonly stop = button("Stop adding", () => this.client.call("stopAdding"));
  private readonly usual = button("Back to the page's own model", () => this.goBack());
  private readonly controls: HTMLElement;

  /** @param onChange is told when other pictures are searched, or another model searches */
  constructor(
    private readonly client: Client,
    private readonly onChange: (gallery: GalleryNews) => void,
  ) {
    const { showDirectoryPicker } = globalThis as { showDirectoryPicker?: FolderPicker };
    const folder = showDirectoryPicker
      ? [button("Add a folder", () => this.addFolder(showDirectoryPicker))]
      : fileChooser("add-folder", "Add a folder", { webkitdirectory: true }, (files) => this.add(files));
    this.progress.hidden = true;
    this.stop.hidden = true;
    const drop = dropListeners(async (handed) => {
      try {
        void this.take(await handed);
      } catch (error) {
        fill(this.message, `What was dropped could not be read: ${(error as Error).message}`);
      }
    });
    this.controls = el(
      "section",
      { class: "card", on: drop },
      el("h2", { text: "Your pictures, your model" }),
      el("p", {
        class: "quiet",
        text: "Drop pictures, folders of them, or a run's folder here. They stay on this machine: pictures in this browser until you remove them, a model until the page is closed.",
      }),
      this.counts,
      el(
        "p",
        { class: "buttons" },
        ...fileChooser("add-pictures", "Add pictures", { multiple: true, accept: "image/*" }, (files) =>
          this.add(files),
        ),
        ...folder,
        this.remove,
      ),
      this.modelLine,
      el(
        "p",
        { class: "buttons" },
        ...fileChooser("open-model", "Open a model's files", { multiple: true }, (files) =>
          this.openModel(files),
        ),
        this.embed,
        this.usual,
      ),
      this.progress,
      this.stop,
      this.message,
    );
    this.element.append(this.controls);
    client.listen((news) => {
      if (news.kind === "progress") this.advance(news.what, news.done, news.total);
      if (news.kind === "pictures") this.changed(news.gallery);
    });
  }

  open(model: ModelNews | null, gallery: GalleryNews, sources: readonly PictureSource[]): void {
    this.show(gallery);
    this.showModel(model);
    this.element.append(
      el(
        "section",
        { class: "card" },
        el("h2", { text: "Whose pictures these are" }),
        el(
          "ul",
          {},
          ...sources.map(({ what, package: name, version, license, url }) =>
            el(
              "li",
              {},
              el("a", { text: what, attributes: { href: url, rel: "noreferrer" } }),
              `, ${license}, from the package ${name} ${version}; made 32 pixels large`,
            ),
          ),
        ),
      ),
    );
  }

  private show({ pictures, own, waiting }: GalleryNews): void {
    this.counts.textContent = `${count(pictures)} pictures of the page and ${count(own)} of yours are searched.`;
    this.remove.disabled = own === 0;
    this.embed.hidden = waiting === 0;
  }

  private showModel(model: ModelNews | null): void {
    this.usual.hidden = !model?.own;
    this.modelLine.textContent = model
      ? `Model: ${model.name}, ${(model.parameters / 1e6).toFixed(1)} million parameters in ${model.precision}, pictures of ${model.imageSize} pixels.`
      : "Without WebGPU there is no model.";
  }

  private changed(gallery: GalleryNews): void {
    this.show(gallery);
    this.onChange(gallery);
  }

  private advance(what: string, done: number, total: number): void {
    this.progress.hidden = done >= total;
    this.progress.max = total;
    this.progress.value = done;
    this.message.textContent = done >= total ? "" : `${what}: ${count(done)} of ${count(total)}`;
  }

  /** Does something that takes a while, and says what went wrong. What is dropped meanwhile waits for its turn. */
  private busy(work: () => Promise<string | HTMLElement>): Promise<void> {
    return this.turns.take(() => this.busily(work));
  }
  private readonly turns = new Turns();

  private async busily(work: () => Promise<string | HTMLElement>): Promise<void> {
    const controls = this.controls.querySelectorAll<HTMLButtonElement | HTMLInputElement>("button, input");
    const before = Array.from(controls, ({ disabled }) => disabled);
    for (const control of controls) control.disabled = true;
    let told: string | HTMLElement;
    try {
      told = await work();
    } catch (error) {
      told = (error as Error).message;
    }
    for (const [i, control] of controls.entries()) if (control !== this.remove) control.disabled = before[i]!;
    this.progress.hidden = true;
    fill(this.message, told);
  }

  private async take({ files, faults }: Handed): Promise<void> {
    const isModel = files.some(({ name }) => name.endsWith(".safetensors"));
    await (isModel ? this.openModel(files) : this.add(files, faults));
  }

  /** @param unread files that could not even be opened */
  private add(files: readonly PictureFile[], unread: Handed["faults"] = []): Promise<void> {
    const pictures = picturesAmong(files);
    return this.busy(async () => {
      if (pictures.length + unread.length === 0)
        return files.length > 0 ? "None of these files is a picture." : "";
      Object.assign(this.stop, { hidden: false, disabled: false });
      const done = await this.client.call("addPictures", pictures).finally(() => {
        this.stop.hidden = true;
      });
      const { added, gallery } = done;
      this.changed(gallery);
      const faults = [...unread, ...done.faults];
      const others = files.length - pictures.length;
      const rest = pictures.length - added - done.faults.length;
      const words = `${count(added)} pictures were added${others > 0 ? `, ${count(others)} other files left out` : ""}${rest > 0 ? `; stopped, ${count(rest)} were not` : ""}.`;
      if (faults.length === 0) return words;
      return el(
        "div",
        {},
        el("p", { text: `${words} ${count(faults.length)} could not be:` }),
        el(
          "ul",
          {},
          ...faults
            .slice(0, 20)
            .map(({ name, why }) => el("li", { text: why.includes(name) ? why : `${name}: ${why}` })),
        ),
      );
    });
  }

  private async addFolder(pick: FolderPicker): Promise<void> {
    const handed: Handed = { files: [], faults: [] };
    const walk = async (folder: PickedFolder, path: string) => {
      for await (const entry of folder.values()) {
        const name = `${path}${entry.name}`;
        if (entry.kind === "directory") await walk(entry, `${name}/`);
        else await addFile(handed, name, () => entry.getFile());
      }
    };
    try {
      await walk(await pick(), "");
    } catch (error) {
      // The person closed the dialogue.
      if ((error as DOMException).name === "AbortError") return;
      this.message.textContent = (error as Error).message;
      return;
    }
    await this.add(handed.files, handed.faults);
  }

  private removeOwn(): Promise<void> {
    return this.busy(async () => {
      const gallery = await this.client.call("removeOwn");
      forgetSights();
      this.changed(gallery);
      return "Your pictures were removed from this browser.";
    });
  }

  private openModel(files: readonly PictureFile[]): Promise<void> {
    return this.busy(async () => {
      if (files.length === 0) return "";
      this.message.textContent = "Loading the model";
      const { model, gallery } = await this.client.call("openModel", [...files]);
      this.showModel(model);
      this.changed(gallery);
      return gallery.waiting > 0
        ? `${model.name} is there. It searches your pictures; the page's gallery it has not seen yet.`
        : `${model.name} is there.`;
    });
  }

  private embedGallery(): Promise<void> {
    return this.busy(async () => {
      this.changed(await this.client.call("embedGallery"));
      return "The gallery is embedded.";
    });
  }

  private goBack(): Promise<void> {
    return this.busy(async () => {
      const { model, gallery } = await this.client.call("usualModel");
      this.showModel(model);
      this.changed(gallery);
      return "";
    });
  }
}
