// `npm install casement webgpu sharp`, then `node node.mjs RUN FOLDER PICTURE TEXT`: the pictures of a folder that look most
// like one of them with what the text changes. RUN is the folder of a run, or of an import of BLIP.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { gallery, openModel, search } from "./search.mjs";

const [run, folder, picture, text] = process.argv.slice(2);
const json = async (name) => JSON.parse(await readFile(join(run, name), "utf8"));
const model = await openModel({
  config: await json("config.json"),
  tokenizer: await json("tokenizer.json"),
  weights: await readFile(join(run, "model.safetensors")),
});
const names = (await readdir(folder)).filter((name) => /\.(png|jpe?g|webp)$/i.test(name)).sort();
const decoded = names.map(async (name) => {
  const image = sharp(join(folder, name)).flatten({ background: "white" }).toColourspace("srgb");
  const { data: rgb, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { name, rgb, width: info.width, height: info.height };
});
const pictures = gallery(model, await Promise.all(decoded));
for (const { name, score } of await search(model, pictures, names.indexOf(picture), text, 5))
  console.log(`${score.toFixed(4)}  ${name}`);
model.engine.dispose();
