// A training step of CASE on made-up pictures and texts, with the trainer that trains it.
import {
  type Engine,
  type InputValues,
  normal,
  type Program,
  randomBits,
  type Tensor,
  type Tuned,
} from "../../engine/index.ts";
import type { Case } from "../../model/case.ts";
import type { Parameters } from "../../model/parameters.ts";
import { specialTokens, Tokenizer } from "../../model/tokenizer.ts";
import { parseConfig, type RunConfig } from "../../train/config.ts";
import type { TrainingSet } from "../../train/data/dataset.ts";
import { inMemory } from "../../train/data/memory.ts";
import { makeModel, type Trainer } from "../../train/loop/trainer.ts";
import { makeTrainer, packerOf } from "../../train/run/trainer.ts";
import type { StepSpec } from "./protocol.ts";

/** Words that the texts are made of; the word table has more rows. */
const words = 500;

export class CaseStep {
  private readonly run_: RunConfig;
  private readonly tokenizer: Tokenizer;
  private readonly model: Case;
  private readonly dataset: TrainingSet;
  private trainer: Trainer;
  private program: { program: Program<Tensor>; values: Record<string, InputValues> } | null = null;

  constructor(
    private readonly engine: Engine,
    { config, precision, batch, vocabulary, length, name }: StepSpec,
    initialize: (parameters: Parameters) => void,
  ) {
    this.run_ = parseConfig(
      {
        ...{ name, precision, data: { kind: "emoji" }, model: config },
        training: { steps: 1000, pictures: batch, triplets: batch, learningRate: 1e-4 },
      },
      name,
    );
    const vocabularyWords = Array.from({ length: Math.min(words, vocabulary - 8) }, (_, i) => `w${i}`);
    this.tokenizer = new Tokenizer([...specialTokens, ...vocabularyWords]);
    this.dataset = madeUp(config.vision.imageSize, batch, length, vocabularyWords);
    this.model = makeModel(engine, this.run_, vocabulary);
    initialize(this.model.parameters);
    this.trainer = this.newTrainer();
  }

  get parameters(): Parameters {
    return this.model.parameters;
  }

  async tune(): Promise<Tuned[]> {
    const { inputs } = await packerOf(this.tokenizer, this.dataset, this.run_)(0);
    return this.engine.tune(() => this.trainer.record(inputs));
  }

  /** Takes the step down anew, with the choices of kernels as they are now. */
  async capture(): Promise<Program<unknown>> {
    if (this.program) {
      this.trainer.dispose();
      this.trainer = this.newTrainer();
    }
    this.program = await this.trainer.prepare();
    return this.program.program;
  }

  run(): void {
    this.program!.program.run(this.program!.values);
  }

  /** The program and a batch for it. */
  async parts() {
    return this.program!;
  }

  /** The loss of the first query after the latest run. */
  async loss(): Promise<number> {
    return (await this.program!.program.outputs.read())[0]!;
  }

  dispose(): void {
    this.trainer.dispose();
    this.model.dispose();
  }

  private newTrainer(): Trainer {
    return makeTrainer(this.engine, this.model, this.tokenizer, this.dataset, this.run_);
  }
}

/** Pictures of noise, and texts that fill their tokens. */
function madeUp(size: number, count: number, length: number, vocabulary: string[]): TrainingSet {
  const key = { key: 5, stream: 0 };
  const shades = Uint8Array.from({ length: 4099 }, (_, i) =>
    Math.min(255, Math.abs(128 + 50 * normal(key, i))),
  );
  const pixels = new Uint8Array(3 * size * size * count);
  for (let at = 0; at < pixels.length; at += shades.length)
    pixels.set(shades.subarray(0, pixels.length - at), at);
  const word = (i: number) => vocabulary[randomBits({ key: 5, stream: 1 }, i) % vocabulary.length]!;
  // The first token, the last, and in reverse queries the mark of one are the tokenizer's.
  const text = (i: number) =>
    Array.from({ length: Math.max(1, length - 3) }, (_, j) => word(i * length + j)).join(" ");
  const texts = Array.from({ length: count }, (_, i) => text(i));
  return {
    name: "made up",
    pictures: inMemory({ size, names: texts, pixels }),
    triplets: count,
    texts: () => texts,
    sampleBatch: ({ pictures, triplets }) => ({
      pictures: Int32Array.from({ length: pictures }, (_, i) => i),
      reference: Int32Array.from({ length: triplets }, (_, i) => i % pictures),
      target: Int32Array.from({ length: triplets }, (_, i) => (i + 1) % pictures),
      text: texts.slice(0, triplets),
      kind: texts.slice(0, triplets),
      ignore: new Uint8Array(triplets * pictures),
    }),
  };
}
