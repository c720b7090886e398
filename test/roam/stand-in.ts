// A stand-in for an OpenAI-compatible endpoint, on loopback: it answers each pair with texts of its own that depend on the pair
// alone, and fails in the ways that real ones do where a test says so.
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { Item } from "../../train/roam/prompt.ts";

export interface Request {
  items: Item[];
  body: { model: string; messages: { role: string; content: string }[]; [key: string]: unknown };
  path: string;
  headers: IncomingHttpHeaders;
  /** Milliseconds since the server was started. */
  at: number;
}

/** What becomes of a request. */
export type Fate =
  | { kind: "answer"; content?: string; after?: number; finish?: string }
  | { kind: "status"; status: number; body?: string; headers?: Record<string, string> }
  | { kind: "stall"; midway?: boolean }
  | { kind: "cut" }
  | { kind: "raw"; body: string };

/** The texts of a pair: what the stand-in answers, whoever asks and whatever else is in the request. */
export const textsFor = ({ question, answers: [first, second] }: Item): [string, string] => {
  const about = question.replace(/[?<>{}]/g, "").trim();
  return [`Turn ${first} into ${second} (${about})`, `Back from ${second} to ${first} (${about})`];
};

export const contentFor = (items: readonly Item[]): string =>
  JSON.stringify(
    items.map((item, i) => {
      const [to_second, to_first] = textsFor(item);
      return { n: i + 1, to_second, to_first };
    }),
  );

/** Starts it. `fate` decides on each request by its number, from 0. */
export async function standIn(fate: (request: Request, index: number) => Fate = () => ({ kind: "answer" })) {
  const requests: Request[] = [];
  const state = { open: 0, most: 0, fate };
  const start = performance.now();
  const server = createServer((incoming, response) => {
    let text = "";
    incoming.on("data", (part) => {
      text += part;
    });
    incoming.on("end", () => {
      const body = JSON.parse(text);
      const items = body.messages
        .at(-1)
        .content.split("\n")
        .map((line: string) => JSON.parse(line))
        .map(({ question, first, second }: Record<string, string>) => ({
          question,
          answers: [first, second],
        }));
      const request: Request = {
        ...{ items, body, path: incoming.url!, headers: incoming.headers, at: performance.now() - start },
      };
      const index = requests.push(request) - 1;
      state.open++;
      state.most = Math.max(state.most, state.open);
      response.on("close", () => state.open--);
      const what = state.fate(request, index);
      const json = { "content-type": "application/json" };
      const completion = (content: string, finish = "stop") =>
        JSON.stringify({
          ...{ id: `chatcmpl-${index}`, object: "chat.completion", created: 0, model: body.model },
          choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: finish }],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
        });
      switch (what.kind) {
        case "answer": {
          const content = what.content ?? contentFor(items);
          setTimeout(
            () => response.writeHead(200, json).end(completion(content, what.finish)),
            what.after ?? 2,
          );
          break;
        }
        case "status":
          response.writeHead(what.status, { ...json, ...what.headers });
          response.end(
            what.body ?? JSON.stringify({ error: { message: "the stand-in says so", type: "x" } }),
          );
          break;
        case "stall":
          if (what.midway) response.writeHead(200, json).write(completion(contentFor(items)).slice(0, 40));
          break;
        case "cut": {
          const whole = completion(contentFor(items));
          response.writeHead(200, { ...json, "content-length": `${Buffer.byteLength(whole)}` });
          response.write(whole.slice(0, whole.length / 2), () => incoming.socket.destroy());
          break;
        }
        case "raw":
          response.writeHead(200, json).end(what.body);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ requests, state, url: `http://127.0.0.1:${port}/v1` },
    /** Forgets what was asked, and decides otherwise from now on. */
    reset(next: typeof fate = () => ({ kind: "answer" })) {
      requests.length = 0;
      Object.assign(state, { fate: next, most: 0 });
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
