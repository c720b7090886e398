// Questions of our own in VQA2.0's exact layout: its three files, with all that its own have in them. questions.txt holds a
// question, its type, and its answers to two pictures on each line.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Sample } from "../data-samples.ts";

export interface Asked {
  type: string;
  question: string;
  answers: readonly [string, string];
}

export const asked: readonly Asked[] = readFileSync(
  fileURLToPath(new URL("questions.txt", import.meta.url)),
  "utf8",
)
  .split("\n")
  .filter((line) => line !== "" && !line.startsWith("#"))
  .map((line) => {
    const [type, question, a, b] = line.split(" | ") as [string, string, string, string];
    return { type, question, answers: [a, b] };
  });

const info = {
  description: "This is v2.0 of the VQA dataset.",
  url: "http://visualqa.org",
  version: "2.0",
  year: 2017,
  contributor: "VQA Team",
  date_created: "2017-04-26 17:07:13",
};
const license = {
  url: "http://creativecommons.org/licenses/by/4.0/",
  name: "Creative Commons Attribution 4.0 International License",
};

const kindOf = (answer: string) =>
  /^(yes|no)$/.test(answer) ? "yes/no" : /^\d+$/.test(answer) ? "number" : "other";

/** A pair's pictures: none is in two pairs, nor in both splits. */
export const imageOf = (pair: number, side: 0 | 1, split = "train") =>
  (split === "train" ? 9 : 400_000) + 6 * pair + 3 * side;
export const questionOf = (pair: number, side: 0 | 1, split = "train") =>
  imageOf(pair, side, split) * 1000 + (pair % 3);

export const vqaNames = (split = "train") => ({
  questions: `v2_OpenEnded_mscoco_${split}2014_questions.json`,
  annotations: `v2_mscoco_${split}2014_annotations.json`,
  pairs: `v2_mscoco_${split}2014_complementary_pairs.json`,
});

/** Questions, annotations and pairs; beside the pairs' questions one that is in none. */
export function vqaEntries(list: readonly Asked[], split = "train") {
  const questions = [{ image_id: 3, question: "What is unpaired?", question_id: 3000 }];
  const annotations = [annotation(3000, 3, "what is", "nothing")];
  const pairs: [number, number][] = [];
  for (const [i, { type, question, answers }] of list.entries()) {
    for (const side of [0, 1] as const) {
      const [id, image] = [questionOf(i, side, split), imageOf(i, side, split)];
      questions.push({ image_id: image, question, question_id: id });
      annotations.push(annotation(id, image, type, answers[side]));
    }
    pairs.push([questionOf(i, 0, split), questionOf(i, 1, split)]);
  }
  return { questions, annotations, pairs };
}

export function annotation(id: number, image: number, type: string, answer: string) {
  return {
    question_type: type,
    multiple_choice_answer: answer,
    answers: Array.from({ length: 10 }, (_, i) => ({
      answer: i < 8 ? answer : "unknown",
      answer_confidence: i < 8 ? "yes" : "maybe",
      answer_id: i + 1,
    })),
    image_id: image,
    answer_type: kindOf(answer),
    question_id: id,
  };
}

/** The three files by their own names. */
export function vqaSample(list: readonly Asked[] = asked, split = "train"): Sample {
  const { questions, annotations, pairs } = vqaEntries(list, split);
  const names = vqaNames(split);
  const beside = { info, license, data_subtype: `${split}2014`, data_type: "mscoco" };
  return {
    [names.questions]: {
      info,
      task_type: "Open-Ended",
      data_type: "mscoco",
      license,
      data_subtype: `${split}2014`,
      questions,
    },
    [names.annotations]: { ...beside, annotations },
    [names.pairs]: pairs,
  };
}

/** COCO's captions of the pairs' targets. */
export function captionsSample(list: readonly Asked[] = asked, split = "train"): Sample {
  const images = list.flatMap((_, i) => [imageOf(i, 0, split), imageOf(i, 1, split)]);
  return {
    [`captions_${split}2014.json`]: {
      info,
      images: images.map((id) => ({
        license: 5,
        file_name: `COCO_${split}2014_${`${id}`.padStart(12, "0")}.jpg`,
        coco_url: `http://images.cocodataset.org/${split}2014/COCO_${split}2014_${`${id}`.padStart(12, "0")}.jpg`,
        height: 480,
        width: 640,
        date_captured: "2013-11-14 16:28:13",
        id,
      })),
      licenses: [{ url: license.url, id: 5, name: license.name }],
      annotations: images.flatMap((image_id) =>
        ["first", "second", "third", "fourth", "fifth"].map((word, i) => ({
          image_id,
          id: image_id * 10 + i,
          caption: `The ${word} caption of picture ${image_id}. \n`,
        })),
      ),
    },
  };
}
