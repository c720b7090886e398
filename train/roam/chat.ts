// One question to an OpenAI-compatible chat endpoint (POST .../chat/completions): what comes back is an answer, something that
// may pass (an overloaded server, a stall, an answer that breaks off), or an error that asking again would not mend.
import { ConfigError } from "../config.ts";

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Answer {
  content: string;
  /** Why it ended, as the endpoint says: "stop", "length"; null where it doesn't say. */
  finish: string | null;
}

/** The endpoint refuses, and would again. */
export class ChatError extends Error {
  override name = "ChatError";

  constructor(
    message: string,
    /** Whether it may be about these messages alone: too long, or filtered. */
    readonly ofMessages = false,
  ) {
    super(message);
  }
}

/** It may answer later. */
export class Unavailable extends Error {
  constructor(
    message: string,
    /** How long it asks to be left alone, in milliseconds; null where it doesn't. */
    readonly after: number | null = null,
  ) {
    super(message);
  }
}

/** What passes: a timeout, a conflict, too many requests, and the server's own faults. */
const passing = new Set([408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529]);
/** No answer to a batch of texts comes near. */
const longestBody = 8 << 20;

export class Chat {
  private readonly url: URL;
  /** Without what may be secret: query and key. */
  readonly endpoint: string;

  /** Throws ConfigError for a URL that can't be asked. */
  constructor(
    url: string,
    readonly model: string,
    private readonly key: string | undefined,
    private readonly timeout: number,
  ) {
    if (!URL.canParse(url)) throw new ConfigError("--llm is no URL, such as http://127.0.0.1:8000/v1");
    this.url = new URL(url);
    const { protocol, username, password, pathname } = this.url;
    if (protocol !== "http:" && protocol !== "https:")
      throw new ConfigError("--llm must begin with http:// or https://");
    // It would be in the list of processes, in the shell's history, and in errors.
    if (username || password)
      throw new ConfigError("--llm has a password in it; a key goes into CASEMENT_LLM_KEY");
    if (!/\/chat\/completions\/?$/.test(pathname))
      this.url.pathname = `${pathname.replace(/\/$/, "")}/chat/completions`;
    this.endpoint = `${this.url.origin}${this.url.pathname}`;
    if (key !== undefined && /[^\x21-\x7e]/.test(key))
      throw new ConfigError("CASEMENT_LLM_KEY has characters that no key has");
  }

  /** A text without the key, should a server say it back. */
  withoutKey(text: string): string {
    return this.key ? text.replaceAll(this.key, "***") : text;
  }

  /** Throws ChatError, Unavailable, and what `signal` is aborted with. */
  async ask(messages: readonly Message[], signal: AbortSignal): Promise<Answer> {
    const stalled = AbortSignal.timeout(this.timeout);
    let [status, after, body] = [0, null as string | null, ""];
    try {
      const response = await fetch(this.url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(this.key ? { authorization: `Bearer ${this.key}` } : {}),
        },
        body: JSON.stringify({ model: this.model, messages, stream: false }),
        // Prompts and key go where they were told to, and nowhere else.
        redirect: "manual",
        signal: AbortSignal.any([signal, stalled]),
      });
      status = response.status;
      after = response.headers.get("retry-after");
      body = await textOf(response);
    } catch (error) {
      signal.throwIfAborted();
      if (stalled.aborted) throw new Unavailable(`no answer within ${this.timeout / 1000} s`);
      const { cause } = error as { cause?: { code?: string; message?: string } };
      const why = cause?.code ?? cause?.message ?? (error as Error).message;
      throw new Unavailable(`no whole answer: ${this.withoutKey(why)}`);
    }
    if (status === 200) return this.answerOf(body);
    const said = this.saidBy(body);
    if (passing.has(status) && !/insufficient_quota/.test(body)) {
      throw new Unavailable(`HTTP ${status}${said}`, waitOf(after));
    }
    const hint =
      status === 401 || status === 403
        ? this.key
          ? "; is CASEMENT_LLM_KEY right?"
          : "; a key goes into CASEMENT_LLM_KEY"
        : status >= 300 && status < 400
          ? "; give the address that it leads to"
          : "";
    throw new ChatError(
      `${this.endpoint} refuses: HTTP ${status}${said}${hint}`,
      status === 400 || status === 413 || status === 422,
    );
  }

  private answerOf(body: string): Answer {
    let value: unknown;
    try {
      value = JSON.parse(body);
    } catch {
      throw new Unavailable(`no chat completion${this.saidBy(body)}`);
    }
    const [choice] = ((value as { choices?: unknown })?.choices ?? []) as {
      message?: { content?: unknown };
      finish_reason?: unknown;
    }[];
    if (choice?.message === undefined) throw new Unavailable(`no chat completion${this.saidBy(body)}`);
    const { content } = choice.message;
    const text = Array.isArray(content)
      ? content.map((part) => (typeof part?.text === "string" ? part.text : "")).join("")
      : typeof content === "string"
        ? content
        : "";
    return {
      content: this.withoutKey(text),
      finish: typeof choice.finish_reason === "string" ? choice.finish_reason : null,
    };
  }

  /** What a server says of an error, in a few words. */
  private saidBy(body: string): string {
    let said = body;
    try {
      const { error, message, detail } = JSON.parse(body);
      said = error?.message ?? error ?? message ?? detail ?? body;
    } catch {
      // Then as it is.
    }
    const text = (typeof said === "string" ? said : JSON.stringify(said)).replace(/\s+/g, " ").trim();
    return text === "" ? "" : `: ${this.withoutKey(text).slice(0, 200)}`;
  }
}

async function textOf(response: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > longestBody) throw new Error("an answer of more than 8 MB");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Retry-After in milliseconds: seconds, or a date. */
export function waitOf(header: string | null, now = Date.now()): number | null {
  if (header === null) return null;
  if (/^\d+(\.\d+)?$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
