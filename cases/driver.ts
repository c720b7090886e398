/**
 * What a driver gets wrong: a cut of the op table small enough for a user to wait for, forward and backward, against
 * float64. No Node here, so a page can ask its browser the same. A test holds the cut to the table: every kernel that
 * the table runs, in every dtype, is in it.
 *
 * @module casement/driver
 */
import type { Engine } from "../engine/index.ts";
import type { OpCase } from "./case.ts";
import { recordCase, runCase } from "./check.ts";
import { allCases } from "./table.ts";

/** Names of cases, or patterns of such. */
const cut: readonly (string | RegExp)[] = [
  "matmul half nn 36x40x20 f16",
  "matmul long nt 20x12x1000 f32",
  "matmul odd-batch nt 3x5x3x7 f32",
  "matmul odd-half tt 9x7x5 f16",
  "matmul broadcast nn 2x3x4,4 f16",
  "matmul odd-tiles tn 67x45x33 f32",
  "matmul tiles nn 68x100x36 f32",
  "product subgroup-4 y nn 2x132x136x44 f32",
  "product subgroup-4 y tt 1x37x131x19 f32",
  "product subgroup-4/split y nn 1x8x12x1028 f16",
  "product subgroup-4/split y nn 3x9x12x516 f32",
  "product subgroup-16 y nn 2x132x136x44 f32",
  "product subgroup-4/split y tn 1x8x12x1030 f16",
  "product subgroup-16/split y nn 1x8x12x1028 f16",
  "product subgroup-16/split y tn 1x8x12x1030 f16",
  "product subgroup-32 y nn 1x37x131x19 f32",
  "product subgroup-32 y tt 1x37x131x19 f32",
  "product subgroup-32/split y nn 1x8x12x1028 f16",
  "product subgroup-32/split y tn 1x8x12x1030 f16",
  "product block-32 y nn 2x132x136x44 f32",
  "product block-32 y nn 1x37x131x19 f32",
  "product block-32 y tn 1x37x131x19 f32",
  "product block-32/split y nn 1x8x12x1028 f16",
  "product block-32/split y nn 3x9x12x516 f32",
  "product block-32/split y tn 1x8x12x1030 f16",
  "product block-128 y nt 2x132x136x44 f32",
  /^product matrix\S* y nn \S+ f16$/,
  /^product matrix(\/split|-small\/split|) y tt \S+ f16$/,
  /^product matrix y (nt|tn) /,
  "product matrix-small y tn 1x37x131x19 f16",
  "product matrix-small y nn 2x144x160x80 f16 about 2^9 and 2^9",
  "product matrix-direct/split y tn 1x16x48x1040 f16",
  /^product \S+ int[48] /,
  "linear bias+gelu+residual 70x72x40 f32",
  "linear bias+gelu+residual 5x7x11 f32",
  "linear bias+gelu 6x8x12 f16",
  "beside itself, linear bias 7x5x5 f16",
  /^masters, (linear bias\S* (5x7x11|600x8x8) f16|matmul shared .*|conv2d .*)$/,
  "feedForward+residual 70x40x100 f32",
  /^feedForward (1x1x1|0x4x8) f32$/,
  "selfAttention holes 2x2x45x45x32 f32",
  "selfAttention half 2x2x21x21x32 f16",
  "crossAttention dropout 2x3x12x35x32 f32",
  "crossAttention half 2x2x12x65x32 f16",
  "selfAttention causal 2x2x45x45x32 f32",
  "crossAttention added by key 2x2x12x40x32 f32",
  "crossAttention added shared 6x2x5x18x32 f16",
  "selfAttention matrix 2x2x70x70x32 f16",
  "crossAttention matrix dropout 2x2x9x70x32 f16",
  /Attention matrix \S+x(40|48|64|128) f16$/,
  "contrastive 7x13 masked f32",
  "recall surrogate 0.25 7x13 masked f32",
  "dropout 0.5 3x5x250 f32",
  "dropout 0.25 9x11 f16",
  // Every function of one element, and of two.
  /^\w+ 3x2x700 f32$/,
  /^\w+ 5x9 f16$/,
  /^\w+ 2x3x4x5,3x1x5 f32$/,
  /^\w+ 3x7,3x1 f16$/,
  /^(pow 2\.5|minimum with 0\.5|maximum with -0\.5) (3x2x700 f32|5x9 f16)$/,
  /^(masters, )?fuse /,
  // Comparisons and choices, and arithmetic of whole numbers.
  /^\w+ 9x13,13 f(16|32) at ties$/,
  /^where (5x8,5x8,5x8 [fui]32|700x3,700x1,3 f16|3x1x4,2x1x1x1,scalar f16|or a number, f32)$/,
  /^\w+ 7x300,7x300 [ui]32$/,
  // Integers along axes and by themselves.
  /^(sum|argmax) (9x577 axis -1|3x9004 axis 1|5x6x7 axis 0|5x70x8 axis -2 kept) [ui]32$/,
  /^(abs|neg|sign|square|clamp) 7x13 [ui]32$/,
  /^cumsum (5x333 axis -1 exclusive|70x8 axis 0 reverse) [ui]32$/,
  /^scatterAdd (7x5 axis 0 ids 19|3x7x8 axis 1 ids 2x6) [ui]32$/,
  /^cast (7x300|7x13|5x7) to \w+ [ui]32$/,
  /^cast (7x300 to [ui]32 f32|7x13 to [ui]32 f16)$/,
  "cast 3x1000 to f16 f32",
  "cast 3x1000 to f32 f16",
  "packHalves 3x1002 f32",
  /^unpackHalves (3x14|5x90 to f16)$/,
  "clampInPlace 7 of 91 f32",
  "accumulateInto 2998 of 3003 f32, f32 value",
  "accumulateInto 13 of 17 f16, f16 value",
  "accumulateInto 2997 of 3003 f32, f16 value",
  "embedding 40x36 ids 130 f32",
  "embedding 7x5 ids 9 f32",
  "embedding 20x8 ids 6x5 f16",
  "embedding 5x3 ids 40 f16",
  "beside itself, layernorm 19x20 f32",
  "beside itself, layernorm 5x7 f16",
  "layernorm residual 33x100 f32",
  "layernorm residual 517x9 f32",
  "layernorm dropout residual 18x36 f16",
  "rmsnorm residual 2x3x64 f32",
  /^groupnorm (2x6x4x5 of 3 f32|3x4x7 of 4 f32|2x6x4x4 of 1 f16|3x6x5x7 of 2 f16)$/,
  "normalize 64x256 f32",
  "normalize 5x7 f32",
  "normalize 6x20 f16",
  "normalize 6x9 f16",
  /^normalize .* f16 to f32$/,
  "pixelsToFloat 3x5x7",
  "pixelsToFloat 2x8x12 by 4 to f16",
  "prependToken 3x4x8 f32",
  "prependToken 2x5x3 f32",
  "prependToken 1x1x12 f16",
  "prependToken 4x2x5 f16",
  "sum 300x1001 f32",
  "sum 100x100 f16",
  "sum 70x12 axis 0 f16",
  "mean 3x2000x8 axis 1 f32",
  "max 9x577 axis -1 f32",
  "max 5x6x8 axis 1 f32",
  "-infinity, max 9x64 axis 1 f32",
  /^(min|argmax|prod) 3x4x5x6 axis 1,2 f32$/,
  /^(min|argmin) (6x12 axis -1|9x7 axis 0 kept) f16$/,
  "prod 5x12 axis 0 f16",
  "gather 3x7x8 axis 1 ids 2x6 i32 f32",
  "gather 3x7x5 axis 1 ids 9 u32 f32",
  /^gather 3x7x[58] .* (f16|[iu]32)$/,
  /^takeAlongAxis (6x4 axis 0 ids 3x4 u32 i32|6x7 axis 1 ids 6x4 u32 u32|70x50 axis -1 ids 70x12 u32 f32)$/,
  /^addAlongAxis (7x5x3|9x6) /,
  "cumsum 3x70x5 axis 1 exclusive reverse f32",
  "conv2d 2x3x6x7 by 5x3x3x2 padding 1 groups 1 bias f32",
  /^conv(2d|Transpose2d) .* f16$/,
  "conv2d 3x4x5x5 by 6x2x3x3 padding 1 groups 2 bias false f32",
  "conv2d 2x6x7x4 by 6x1x3x3 padding 1 groups 6 bias f32",
  "averagePool2d 1x2x8x7 of 3,2 stride 2,1 dilation 1,2 padding 1,2,0,1 f32",
  "conv2d 2x3x5x8 by 4x3x3x3 padding 1 groups 1 bias f32",
  "logSumExp 3x5 f32",
  "argmax 7x5 f32",
  /^maxPool2d 1x2x2x13 .* f32$/,
  /^(max|average)Pool2d (2x3x6x8 of 2 f32|2x3x5x6 of 2 f16|3x5x30x32 of 2 f16)$/,
  "conv2d 2x12x21x16 by 12x1x3x3 stride 2 padding 1 groups 12 bias false f32",
  "cumsum 70x8 axis 0 reverse f32",
  /^cumsum .* f16$/,
  "permute 3120 2x3x4x5 f16",
  "permute 10 5x7 f32",
  "permute 021 3x64x48 f32",
  "slice [::-2, 1:-1, 7:0:-3] 5x6x9 f32",
  "slice [::-2, 1:-1, 7:0:-3] 5x6x9 f16",
  "concat 0 3x8,2x8 f32",
  "concat 1 4x1x8,4x1x8 f16",
  /^pad reflect 3\+2,4\+1 4x5 f32$/,
  /^pad (reflect|edge) .* f16$/,
  "softmax 7x577 f32",
  "softmax 6x11 f16",
  "logSoftmax 33x64 f32",
  "softmax masked 3x41 f32",
  /^softmax (4x5x6|2x70x40) axis -?[12] f32$/,
  /^softmax (7x3 axis 0|3x19x12 axis 1) f16$/,
  /^logSumExp (3x4x5x2 axis 0,-2 f32|4x1x6x3 axis 0,2 f16)$/,
  /^logSumExp (3x70x40 axis -2|33x6 axis 0|3x4x5x6 axis 1,2|21x8 axis 0) f(32|16)$/,
  /^(AdamW|SGD|SGD momentum|Lion) (5003,37 f32|37,2050 mixed f16)$/,
  /^WeightAverage (5003,7 f32|9,31 f16)$/,
  // Finite and wrong on others' drivers and kernels.
  /^wide, (softmax|layernorm|normalize) 9x64 f16$/,
  /^wide, (tanh|gelu) 9x40 f(16|32)$/,
  /^wide, selfAttention outliers .* f16$/,
  "topk drawn indices 3x1000 k 10 f32",
  "topk drawn indices 3x300 k 20 f16",
];

/** The cut, in the order in which it is checked. */
export const driverCases: readonly OpCase[] = cut.flatMap((entry) => {
  const found = allCases.filter(({ name }) =>
    typeof entry === "string" ? name === entry : entry.test(name),
  );
  if (found.length === 0) throw new Error(`The op table has no case ${entry}.`);
  return found;
});

/** What a driver makes of one case. */
export interface Verdict {
  /** The op with its sizes and dtype. */
  name: string;
  /** What is wrong, a line each; empty where the op is right. */
  failures: string[];
  /** Why the case could not run, null where it did. */
  skipped: string | null;
  /** The largest relative error of result and gradients, 0 where none came. */
  error: number;
}

/**
 * Runs the cut, case by case. What a case breaks (a shader that does not compile, a lost device) is what is wrong with
 * that case: the next one gets an engine of its own.
 * @param open an engine on the adapter in question, best one with `poison`; disposed here
 * @param options part of the cut, and how many cases' pipelines are compiled together: 1 where the driver does not outlive
 * some case
 */
export async function* checkDriver(
  open: () => Promise<Engine>,
  { cases = driverCases, batch = 8 }: { cases?: readonly OpCase[]; batch?: number } = {},
): AsyncGenerator<Verdict> {
  let engine: Engine | null = null;
  const giveUp = () => {
    engine?.dispose();
    engine = null;
  };
  try {
    for (const [at, opCase] of cases.entries()) {
      if (batch > 1 && at % batch === 0) {
        engine ??= await open();
        try {
          for (const next of cases.slice(at, at + batch)) recordCase(engine, next);
          await engine.idle();
        } catch {
          // Which case it was shows when each is run by itself.
          giveUp();
        }
      }
      engine ??= await open();
      const { name } = opCase;
      try {
        const { failures, skipped, errors } = await runCase(engine, opCase);
        yield { name, failures, skipped, error: Math.max(0, ...Object.values(errors)) };
      } catch (error) {
        giveUp();
        yield { name, failures: [(error as Error).message], skipped: null, error: 0 };
      }
    }
  } finally {
    giveUp();
  }
}
