// What this machine's GPU offers, and which kernels run on it for which reason.

import { featuresOf, limitsOf, type Offer, offersOf } from "../../cases/offers.ts";
import { type Engine, findAdapter } from "../../engine/index.ts";
import { candidates } from "../../kernels/matmul/variants.ts";
import { matrixUnits } from "../../kernels/tiles/units.ts";
import type { DeviceNews } from "../messages.ts";
import type { LoadedModel } from "./model.ts";

export async function deviceNews(engine: Engine, loaded: LoadedModel): Promise<DeviceNews> {
  const { adapter } = await findAdapter();
  const { info } = adapter;
  const offers = offersOf(adapter);
  const named = (name: string, words: string) => ({ name, words: words || "not given" });
  return {
    adapter: [
      named("vendor", info.vendor),
      named("architecture", info.architecture),
      named("description", info.description),
      named("device", info.device),
      named("kind", engine.isSoftware ? "software, on the processor" : "a GPU"),
    ],
    features: featuresOf(offers),
    limits: limitsOf(offers),
    paths: pathsOf(engine, loaded),
  };
}

function pathsOf(engine: Engine, { news, config }: LoadedModel): Offer[] {
  const { width, mlpRatio } = config.model.vision;
  const tokens = news.imageSize ** 2 / config.model.vision.patchSize ** 2;
  const product = { m: tokens, n: Math.round(width * mlpRatio), k: width };
  const sizes = { ...product, batch: 1, transposeA: false, transposeB: true };
  const [first] = candidates(engine, sizes, "f32", true);
  const narrow = engine.lanes.subgroups && engine.lanes.count <= 8;
  const why = narrow
    ? "subgroups are narrow, as on software adapters: one of them computes a tile, without shared memory"
    : "tiles go through shared memory, the largest that keep the adapter busy";
  const bytes = engine.stats().usedBytes;
  return [
    { name: "lanes", words: lanesOf(engine) },
    {
      name: "matrix products",
      words: `${first}, for ${product.m} x ${product.k} by ${product.n}, the model's widest: ${why}`,
    },
    {
      name: "matrix units",
      words: matrixUnits(engine)
        ? "there, for products and attention in f16"
        : "not used: the adapter offers none to pages, or not of a shape that the kernels know",
    },
    {
      name: "precision",
      words:
        news.precision === "f16"
          ? "f16: the model is large and the adapter has shader-f16"
          : engine.hasF16
            ? "f32, as the model is small; the adapter could compute in f16"
            : "f32: the adapter has no shader-f16",
    },
    { name: "memory in use", words: `${(bytes / 2 ** 20).toFixed(1)} MiB on the GPU` },
  ];
}

/** How the invocations of a workgroup come together, and why so. */
function lanesOf({ lanes, device, adapterInfo }: Engine): string {
  const { subgroupMinSize: min, subgroupMaxSize: max } = adapterInfo;
  if (lanes.subgroups) {
    return lanes.sized
      ? `subgroups of ${lanes.count}: the adapter has ${min} to ${max} and lets kernels ask`
      : `subgroups of ${lanes.count}, the adapter's only size`;
  }
  const reason = !device.features.has("subgroups")
    ? "the adapter has no subgroups"
    : max === undefined
      ? "the browser does not tell how wide subgroups are"
      : min < 4
        ? `subgroups may be as narrow as ${min}`
        : `subgroups are ${min} to ${max} wide and kernels can't ask for one size`;
  return `${lanes.count} invocations through shared memory: ${reason}`;
}
