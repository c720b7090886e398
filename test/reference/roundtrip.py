"""There and back by hand: a random BLIP saved by transformers, and by torch.save under Salesforce's names, is imported,
embedded and exported by casement; transformers loads the export, and all embeddings are compared. Time and memory of each
command are printed. Nothing of it is kept.

Run, where GNU time is: pip install torch transformers safetensors pillow && python test/reference/roundtrip.py PICTURE [--base] [--f16]
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import tempfile

import torch
from PIL import Image
from transformers import BertTokenizer, BlipConfig, BlipForImageTextRetrieval

ROOT = pathlib.Path(__file__).parent.parent.parent
TEXT = "make the dress longer"
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).reshape(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).reshape(3, 1, 1)
ORIGINAL = [
    ("vision_model.embeddings.class_embedding", "visual_encoder.cls_token"),
    ("vision_model.embeddings.position_embedding", "visual_encoder.pos_embed"),
    ("vision_model.embeddings.patch_embedding.", "visual_encoder.patch_embed.proj."),
    ("vision_model.encoder.layers.", "visual_encoder.blocks."),
    ("vision_model.post_layernorm.", "visual_encoder.norm."),
    ("layer_norm1.", "norm1."),
    ("layer_norm2.", "norm2."),
    ("self_attn.qkv.", "attn.qkv."),
    ("self_attn.projection.", "attn.proj."),
]


def original_name(name: str) -> str:
    for theirs, original in ORIGINAL:
        name = name.replace(theirs, original)
    return name


def random_blip(base: bool) -> BlipForImageTextRetrieval:
    width, layers = (768, 12) if base else (128, 2)
    sizes = dict(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, hidden_act="gelu")
    sizes |= dict(num_attention_heads=width // 64)
    vision = sizes | dict(image_size=384 if base else 64, patch_size=16, layer_norm_eps=1e-6)
    text = sizes | dict(vocab_size=30524, encoder_hidden_size=width, is_decoder=True, max_position_embeddings=512)
    config = BlipConfig(vision_config=vision, text_config=text, image_text_hidden_size=256)
    model = BlipForImageTextRetrieval(config).eval()
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
            parameter.normal_(centre, 0.03)
    return model


def embeddings(model: BlipForImageTextRetrieval, picture: pathlib.Path, vocabulary: pathlib.Path) -> dict:
    size = model.config.vision_config.image_size
    opened = Image.open(picture).convert("RGBA")
    white = Image.new("RGBA", opened.size, (255, 255, 255, 255))
    squashed = Image.alpha_composite(white, opened).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
    pixels = torch.frombuffer(bytearray(squashed.tobytes()), dtype=torch.uint8).reshape(size, size, 3).permute(2, 0, 1)
    tokenizer = BertTokenizer(vocab=str(vocabulary))
    ids = torch.tensor(tokenizer(TEXT)["input_ids"])[None]
    query = ids.clone()
    query[0, 0] = 30523
    with torch.no_grad():
        seen = model.vision_model(pixel_values=((pixels / 255 - MEAN) / STD)[None]).last_hidden_state
        alone = model.text_encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        both = model.text_encoder(
            input_ids=query,
            attention_mask=torch.ones_like(query),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
        ).last_hidden_state
        rows = {"target": model.vision_proj(seen[:, 0]), "text": model.text_proj(alone[:, 0])}
        rows["query"] = model.text_proj(both[:, 0])
        return {kind: torch.nn.functional.normalize(row, dim=-1)[0] for kind, row in rows.items()}


def casement(*arguments: object) -> str:
    """Runs a command; prints its time and the memory that it took at most."""
    with tempfile.NamedTemporaryFile("r") as usage:
        # GNU time in between: a child of this large process would count its parent's memory as its own.
        timed = ["time", "-f", "%e %M", "-o", usage.name]
        command = [*timed, "node", ROOT / "cli" / "casement.mjs", *map(str, arguments)]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        seconds, kilobytes = map(float, usage.read().split())
    print(f"{seconds:6.1f} s  {kilobytes / 1024:6.0f} MiB  casement {arguments[0]}", flush=True)
    return out


def compare(what: str, folder: pathlib.Path, picture: pathlib.Path, wanted: dict) -> None:
    image, text = ["--image", picture], ["--text", TEXT]
    for kind, arguments in {"target": image, "text": text, "query": image + text}.items():
        answer = json.loads(casement("embed", "--checkpoint", folder, "--json", *arguments))
        assert answer["kind"] == kind
        mine = torch.tensor(answer["embedding"])
        cosine = torch.dot(mine.double(), wanted[kind].double()).item()
        print(f"{what}: {kind} embedding, 1 - cosine {1 - cosine:.1e}, largest difference {(mine - wanted[kind]).abs().max():.1e}")
        assert cosine > 0.99999


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--f16", action="store_true", help="save the weights in float16")
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="casement-roundtrip-"))
    try:
        model = random_blip(options.base)
        if options.f16:
            model = model.half()
        model.save_pretrained(work / "hf")
        state = {original_name(name): tensor for name, tensor in model.state_dict().items()}
        extra = {name.replace("visual_encoder", "visual_encoder_m"): t for name, t in state.items() if ".blocks.0." in name}
        extra |= {"temp": torch.tensor(0.05), "image_queue": torch.zeros(256, 100), "ptr_queue": torch.zeros(1).long()}
        torch.save({"model": state | extra, "epoch": 3}, work / "original.pth")
        model = model.float()
        for file in [work / "hf" / "model.safetensors", work / "original.pth"]:
            print(f"{file.stat().st_size / 2**20:.0f} MiB  {file.name}")
        casement("import", work / "hf", "--out", work / "from-hf")
        casement("import", work / "original.pth", "--out", work / "from-original")
        exported = work / "exported"
        casement("export", "--run", work / "from-hf", "--format", "safetensors-hf", "--out", exported / "model.safetensors")
        wanted = embeddings(model, options.picture, exported / "vocab.txt")
        compare("Hugging Face's folder", work / "from-hf", options.picture, wanted)
        compare("Salesforce's names", work / "from-original", options.picture, wanted)

        again, info = BlipForImageTextRetrieval.from_pretrained(exported, output_loading_info=True)
        # [REV] has made the table a row longer; nothing else may differ.
        assert not any(info[key] for key in info), info
        rows = embeddings(again.eval(), options.picture, exported / "vocab.txt")
        for kind, row in rows.items():
            print(f"transformers on the export: {kind} embedding, largest difference {(row - wanted[kind]).abs().max():.1e}")
            assert torch.allclose(row, wanted[kind], atol=1e-6)
    finally:
        shutil.rmtree(work)


main()
