// The editor of a kernel's WGSL: CodeMirror in a shadow root of its own, where its rules come as an adopted style sheet,
// which the page's policy allows. Tab leaves it, as in any field; Ctrl-Enter runs.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import {
  bracketMatching,
  HighlightStyle,
  indentUnit,
  StreamLanguage,
  syntaxHighlighting,
} from "@codemirror/language";
import { clike } from "@codemirror/legacy-modes/mode/clike";
import { type Diagnostic, lintGutter, setDiagnostics } from "@codemirror/lint";
import { EditorState } from "@codemirror/state";
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";
import type { Fault } from "../../kernels.ts";
import { el } from "../dom.ts";

const words = (text: string) => Object.fromEntries(text.split(/\s+/).map((word) => [word, true]));

/** WGSL by the words of its specification. */
const wgsl = StreamLanguage.define(
  clike({
    name: "wgsl",
    keywords: words(
      "alias break case const const_assert continue continuing default diagnostic discard else enable fn for if let loop override requires return struct switch var while function private workgroup uniform storage read write read_write",
    ),
    types: words(
      "array atomic bool f16 f32 i32 u32 mat2x2f mat3x3f mat4x4f ptr vec2 vec3 vec4 vec2f vec3f vec4f vec2h vec3h vec4h vec2i vec3i vec4i vec2u vec3u vec4u Scalar Vec",
    ),
    builtin: words(
      "abs all any atomicAdd atomicLoad atomicMax atomicStore bitcast ceil clamp cos dot exp exp2 floor fma log log2 max min mix pow round select sign sin sqrt step subgroupAdd subgroupBroadcast subgroupBroadcastFirst subgroupMax subgroupMin subgroupShuffle subgroupShuffleDown subgroupShuffleXor tanh trunc unpack2x16float workgroupBarrier workgroupUniformLoad",
    ),
    blockKeywords: words("continuing else for if loop switch while"),
    atoms: words("true false"),
    hooks: {
      "@": (stream: { eatWhile(pattern: RegExp): boolean }) => {
        stream.eatWhile(/\w/);
        return "meta";
      },
    },
  }),
);

const colours = HighlightStyle.define([
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
  {
    tag: [tags.keyword, tags.definitionKeyword, tags.controlKeyword],
    color: "var(--accent)",
    fontWeight: "600",
  },
  { tag: [tags.typeName, tags.standard(tags.typeName)], color: "var(--type)" },
  { tag: [tags.number, tags.atom, tags.bool], color: "var(--number)" },
  { tag: [tags.meta, tags.standard(tags.name), tags.standard(tags.variableName)], color: "var(--builtin)" },
]);

const look = EditorView.theme({
  "&": {
    background: "var(--page)",
    color: "var(--ink)",
    border: "1px solid var(--line)",
    borderRadius: "8px",
    overflow: "hidden",
  },
  "&.cm-focused": { outline: "3px solid var(--accent)", outlineOffset: "2px" },
  ".cm-scroller": {
    fontFamily: 'ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace',
    fontSize: "13px",
    lineHeight: "1.5",
    maxHeight: "min(60vh, 560px)",
    overflow: "auto",
  },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { background: "var(--card)", color: "var(--soft)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine, .cm-activeLineGutter": { background: "color-mix(in srgb, var(--accent) 8%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    background: "color-mix(in srgb, var(--accent) 25%, transparent)",
  },
  "&.cm-focused .cm-matchingBracket": { background: "color-mix(in srgb, var(--accent) 25%, transparent)" },
  ".cm-tooltip": { background: "var(--card)", color: "var(--ink)", border: "1px solid var(--line)" },
  // In place of pictures by data: addresses, which the policy forbids.
  ".cm-lint-marker-error": { content: '"\\25cf"', color: "var(--bad)", lineHeight: "1" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad)" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--bad)" },
});

export class KernelEditor {
  readonly element = el("div", { class: "editor" });
  private readonly view: EditorView;

  /** `changed` hears of every change by the user, `run` of Ctrl-Enter. */
  constructor(
    private readonly changed: (text: string) => void,
    private readonly run: () => void,
  ) {
    const shadow = this.element.attachShadow({ mode: "open" });
    this.view = new EditorView({ parent: shadow, root: shadow, state: this.stateOf("", "") });
  }

  private stateOf(name: string, text: string): EditorState {
    return EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        history(),
        drawSelection(),
        bracketMatching(),
        indentUnit.of("  "),
        lintGutter(),
        wgsl,
        syntaxHighlighting(colours),
        look,
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({
          "aria-label": `WGSL of the kernel ${name}`,
          tabindex: "0",
          spellcheck: "false",
        }),
        keymap.of([{ key: "Mod-Enter", run: () => this.runNow() }, ...defaultKeymap, ...historyKeymap]),
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (docChanged) this.changed(state.doc.toString());
        }),
      ],
    });
  }

  private runNow(): boolean {
    this.run();
    return true;
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  /** Shows another kernel, with a history of its own. */
  open(name: string, text: string): void {
    this.view.setState(this.stateOf(name, text));
  }

  /** Puts a text in the place of all, which can be undone. */
  replace(text: string): void {
    this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: text } });
  }

  /** Marks what does not compile. */
  mark(faults: readonly Fault[]): void {
    const { doc } = this.view.state;
    const diagnostics = faults.flatMap(({ line, column, message }): Diagnostic[] => {
      if (line < 1 || line > doc.lines) return [];
      const { from, to } = doc.line(line);
      const at = Math.min(to, from + Math.max(0, column - 1));
      const word = /^\w+/.exec(doc.sliceString(at, to))?.[0].length ?? 1;
      return [{ from: at, to: Math.min(to, at + word), severity: "error", message }];
    });
    this.view.dispatch(setDiagnostics(this.view.state, diagnostics));
    const [first] = diagnostics;
    if (first) this.view.dispatch({ effects: EditorView.scrollIntoView(first.from, { y: "center" }) });
  }

  /** Puts the cursor on a line. */
  goTo({ line, column }: Pick<Fault, "line" | "column">): void {
    const { doc } = this.view.state;
    const { from, to } = doc.line(Math.min(Math.max(1, line), doc.lines));
    this.view.dispatch({
      selection: { anchor: Math.min(to, from + Math.max(0, column - 1)) },
      effects: EditorView.scrollIntoView(from, { y: "center" }),
    });
    this.view.focus();
  }
}
