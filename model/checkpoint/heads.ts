// How many attention heads an encoder has where nothing beside it says so: its tensors are the same for any number, and
// a wrong one gives embeddings that look right. Heads are 64 wide in published models of up to 1024, save those below;
// wider ones each have a number of their own, so that a model which is not in the table has to be asked about.
import { CheckpointError } from "../safetensors.ts";

/** What tells published models apart. */
interface Sizes {
  width: number;
  depth: number;
  /** Hidden width of the MLP. */
  inner: number;
}

interface Known extends Partial<Sizes> {
  width: number;
  heads: number;
  name: string;
}

const usualWidth = 64;
const widest = 1024;

/** Vision transformers as timm's vision_transformer.py, eva.py and open_clip's configurations define them. */
const vision: readonly Known[] = [
  { width: 768, depth: 8, inner: 2304, heads: 8, name: "timm's first ViT-S" },
  { width: 1152, depth: 27, inner: 4304, heads: 16, name: "SoViT-400m" },
  { width: 1280, depth: 32, inner: 5120, heads: 16, name: "ViT-H" },
  { width: 1408, depth: 40, inner: 6144, heads: 16, name: "ViT-g" },
  { width: 1536, depth: 40, inner: 4096, heads: 24, name: "DINOv2's ViT-g" },
  { width: 1664, depth: 48, inner: 8192, heads: 16, name: "ViT-G" },
  { width: 1792, depth: 64, inner: 15360, heads: 16, name: "EVA-E" },
];

/** arXiv 2002.10957; BGE, E5 and GTE of that size start from it. */
const text: readonly Known[] = [{ width: 384, heads: 12, name: "MiniLM" }];

/**
 * The number of heads of an encoder by its sizes, and why, for people. Throws CheckpointError, which asks for them, where
 * these don't tell.
 */
export function headsOf(
  part: "vision" | "text",
  sizes: Sizes,
  option: string,
): { heads: number; why: string } {
  const { width } = sizes;
  const known = { vision, text }[part].find(({ heads, name, ...wanted }) =>
    Object.entries(wanted).every(([key, value]) => sizes[key as keyof Sizes] === value),
  );
  if (known) return { heads: known.heads, why: `as ${known.name} has` };
  if (width > widest || width % usualWidth !== 0) {
    throw new CheckpointError(
      `the ${part} encoder is ${width} wide, which does not tell how many heads it has: say so by ${option} N, ` +
        "or put the config.json with its num_attention_heads beside the checkpoint",
    );
  }
  return { heads: width / usualWidth, why: `assumed: ${usualWidth} wide` };
}
