// One question to a model: the best answers by picture alone, by text alone and by both, and where there is a right one, how
// far down it stands by each and by other words for the same.
import { inMemory } from "../../../train/data/memory.ts";
import { labelsOf, spreadOf, type Way } from "../../../train/eval/audit.ts";
import { embedQueries, embedTexts } from "../../../train/eval/embed.ts";
import { rankOf, standings } from "../../../train/eval/rank.ts";
import { tellCut } from "../../../train/inputs.ts";
import type { Answer, Found, Question } from "../../messages.ts";
import type { Bench } from "./bench.ts";
import type { Reference } from "./references.ts";
import { type Searched, shown } from "./searched.ts";

export async function ask(
  { engine, loaded, eye, ready }: Bench,
  searched: Searched,
  reference: Reference,
  question: Question,
): Promise<Omit<Found, "took">> {
  const { model, tokenizer, config } = loaded;
  const { row: image, print, pixels } = await reference.seenBy(eye);
  const text = question.text.trim();
  const among = searched.placesBut(print);
  const possible = new Set(among);
  const right = question.right.filter((place) => possible.has(place));
  const others =
    right.length > 0
      ? [...(searched.gallery.phrasings.get(text.toLowerCase()) ?? []), ...question.wordings]
      : [];
  const texts = text === "" ? [] : [...new Set([text, ...others])];

  const own = inMemory({ size: eye.preparation.size, names: [reference.name], pixels });
  const asked = texts.map((text) => ({ reference: 0, text }));
  const [both, alone] = await Promise.all([
    embedQueries(engine, model, tokenizer, own, asked),
    text === "" ? new Float32Array(0) : embedTexts(engine, model, tokenizer, [text]),
  ]);
  const values = new Float32Array(image.length + alone.length + both.length);
  values.set(image);
  values.set(alone, image.length);
  values.set(both, image.length + alone.length);
  const answers: Record<Way, Answer[]> = { image: [], text: [], both: [] };
  const ranks: number[] = [];
  await ready.eachRow({ values, width: eye.width }, (i, row) => {
    const way = (["image", "text", "both"] as const)[i];
    if (way) answers[way] = searched.best(row, among);
    if (right.length > 0) ranks.push(rankOf(standings(row, { right, reference: -1, among }), false));
  });
  const told = text === "" ? null : tellCut(tokenizer, config.model, [text], "queries");
  const unknown = tokenizer.id("[UNK]");
  const isUnknown = text !== "" && tokenizer.pieces(text).every((id) => id === unknown);
  const known = right.length > 0 && texts.length > 0;
  const byWay = known ? { image: ranks[0]!, text: ranks[1]!, both: ranks[2]! } : null;
  return {
    ...{ answers, ranks: byWay, labels: byWay ? labelsOf(byWay, shown) : [] },
    paraphrases: known && texts.length > 1 ? paraphrasesOf(texts, ranks.slice(2)) : null,
    notes: [...(isUnknown ? ["The model knows none of these words."] : []), ...(told ? [told] : [])],
  };
}

function paraphrasesOf(texts: readonly string[], ranks: readonly number[]): Found["paraphrases"] {
  const list = texts.map((text, i) => ({ id: `${i}`, text, rank: ranks[i]! }));
  const spread = spreadOf([{ reference: "", target: "", texts: list }], [1, shown])!;
  return { texts: list.map(({ text, rank }) => ({ text, rank })), spread };
}
