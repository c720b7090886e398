"""Writes test/fixtures/parity.json: what PyTorch computes with BLIP, BERT and ViT models whose weights are named_values
of their names, so that only results need to be kept. BLIP is tiny and of its published size.

Run: pip install torch transformers numpy && python test/reference/parity.py, then npm run format
"""

import json
import pathlib

import torch
import transformers
from named import digest, digests, layers, named_values
from transformers import BertConfig, BertModel, BlipConfig, BlipForImageTextRetrieval, ViTConfig, ViTModel

TINY = 0.3
VISION = dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=48)
VISION |= dict(patch_size=16, hidden_act="gelu")
TEXT = dict(vocab_size=24, hidden_size=24, intermediate_size=72, num_hidden_layers=2, num_attention_heads=3)
TEXT |= dict(max_position_embeddings=12, hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
IDS = [[6, 9, 17, 23, 11, 3], [6, 20, 8, 3, 0, 0]]

BASE = 0.05
BASE_VISION = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
BASE_VISION |= dict(image_size=384, patch_size=16, hidden_act="gelu", layer_norm_eps=1e-6)
BASE_TEXT = dict(vocab_size=30524, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
BASE_TEXT |= dict(max_position_embeddings=512, hidden_act="gelu", layer_norm_eps=1e-12)
BASE_TEXT |= dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
# [ENC] make the dress long ##er [SEP], and [ENC] red [SEP] with padding
BASE_IDS = [[30523, 2191, 1996, 4377, 2146, 2121, 102], [30523, 2417, 102, 0, 0, 0, 0]]


def with_named_weights(model: torch.nn.Module, scale: float, saved: dict[str, str] = {}) -> torch.nn.Module:
    """Sets every parameter; `saved` maps names in memory to those in files where they differ."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for new, old in saved.items():
                name = name.replace(new, old)
            values = named_values(name, parameter.numel(), scale)
            parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
    return model.eval()


def pixels(size: int) -> torch.Tensor:
    return torch.from_numpy(named_values(f"pixels {size}", 3 * size * size, 2.0)).reshape(1, 3, size, size)


def unit(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(x, dim=-1)


def shapes(model: torch.nn.Module, saved: dict[str, str] = {}) -> dict[str, list[int]]:
    result = {}
    for name, tensor in model.state_dict().items():
        for new, old in saved.items():
            name = name.replace(new, old)
        result[name] = list(tensor.shape)
    return result


def blip(vision: dict, text: dict, projection: int, scale: float, token_ids: list, sizes: list[int]) -> dict:
    """Results per picture size; a size that is not the model's own goes through its resized positions."""
    config = BlipConfig(
        text_config=text | dict(encoder_hidden_size=vision["hidden_size"], is_decoder=True),
        vision_config=vision,
        image_text_hidden_size=projection,
    )
    model = with_named_weights(BlipForImageTextRetrieval(config), scale)
    ids = torch.tensor(token_ids)
    tokens = dict(input_ids=ids, attention_mask=(ids != 0).long(), output_hidden_states=True)
    alone = model.text_encoder(**tokens)
    by_size = {}
    for size in sizes:
        embeddings = model.vision_model.embeddings
        patches = embeddings.patch_embedding(pixels(size)).flatten(2).transpose(1, 2)
        seen = model.vision_model(pixel_values=pixels(size), output_hidden_states=True, interpolate_pos_encoding=True)
        picture = seen.last_hidden_state
        both = picture.expand(len(ids), -1, -1)
        everything = torch.ones(both.shape[:2], dtype=torch.long)
        grounded = model.text_encoder(**tokens, encoder_hidden_states=both, encoder_attention_mask=everything)
        by_size[size] = {
            "vision": digests({"patches": patches, **layers(seen.hidden_states), "tokens": picture}),
            "grounded": digests(layers(grounded.hidden_states)),
            "target": digest("target", unit(model.vision_proj(picture[:, 0]))),
            "query": digest("query", unit(model.text_proj(grounded.last_hidden_state[:, 0]))),
        }
    return {
        "scale": scale,
        "ids": token_ids,
        "config": {"model_type": "blip", "vision_config": heads(vision), "text_config": heads(text)},
        "text": digests(layers(alone.hidden_states)),
        "text embedding": digest("text embedding", unit(model.text_proj(alone.last_hidden_state[:, 0]))),
        "sizes": by_size,
        "shapes": shapes(model),
    }


def heads(config: dict) -> dict:
    """What a config.json says that the tensors don't."""
    return {"num_attention_heads": config["num_attention_heads"], "layer_norm_eps": config["layer_norm_eps"]}


def bert() -> dict:
    model = with_named_weights(BertModel(BertConfig(**TEXT)), TINY)
    ids = torch.tensor(IDS)
    hidden = model(input_ids=ids, attention_mask=(ids != 0).long(), output_hidden_states=True).hidden_states
    return {"text": digests(layers(hidden)), "shapes": shapes(model)}


def vit() -> dict:
    # Transformers 5 has other names in memory than in files.
    saved = {"layers.": "encoder.layer.", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
    saved |= {"attention.o_proj": "attention.output.dense"}
    saved |= {f"attention.{part[0]}_proj": f"attention.attention.{part}" for part in ("query", "key", "value")}
    model = with_named_weights(ViTModel(ViTConfig(**VISION)), TINY, saved)
    seen = model(pixel_values=pixels(48), output_hidden_states=True)
    patches = model.embeddings.patch_embeddings(pixels(48))
    results = {"patches": patches, **layers(seen.hidden_states), "tokens": seen.last_hidden_state}
    return {"vision": digests(results), "shapes": shapes(model, saved)}


def main() -> None:
    # Of BLIP's two default epsilons neither, so that one that is not read shows.
    tiny = VISION | dict(layer_norm_eps=1e-3), TEXT | dict(layer_norm_eps=1e-4)
    large = tiny[0] | dict(image_size=224), tiny[1]
    with torch.no_grad():
        fixture = {
            "versions": [torch.__version__, transformers.__version__],
            "blip": {
                "tiny": blip(*tiny, 16, TINY, IDS, [48, 80]),
                "tiny, 224": blip(*large, 16, TINY, IDS, [224, 384]),
                "base": blip(BASE_VISION, BASE_TEXT, 256, BASE, BASE_IDS, [384, 224]),
            },
            "bert": bert(),
            "vit": vit(),
        }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "parity.json"
    path.write_text(json.dumps(fixture) + "\n")


main()
