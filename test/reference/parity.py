"""Writes test/fixtures/parity.json: what PyTorch computes with tiny BLIP, BERT and ViT models whose weights are
named_values of their names, so that only results need to be kept.

Run: pip install torch transformers numpy && python test/reference/parity.py, then npm run format
"""

import base64
import json
import pathlib

import torch
import transformers
from named import named_values
from transformers import BertConfig, BertModel, BlipConfig, BlipForImageTextRetrieval, ViTConfig, ViTModel

SCALE = 0.3
VISION = dict(hidden_size=32, intermediate_size=128, num_hidden_layers=2, num_attention_heads=2, image_size=48)
VISION |= dict(patch_size=16, hidden_act="gelu")
TEXT = dict(vocab_size=24, hidden_size=24, intermediate_size=72, num_hidden_layers=2, num_attention_heads=3)
TEXT |= dict(max_position_embeddings=12, hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
IDS = torch.tensor([[6, 9, 17, 23, 11, 3], [6, 20, 8, 3, 0, 0]])
MASK = (IDS != 0).long()


def with_named_weights(model: torch.nn.Module, saved: dict[str, str]) -> torch.nn.Module:
    """Sets every parameter; `saved` maps names in memory to those in files where they differ."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            for new, old in saved.items():
                name = name.replace(new, old)
            values = named_values(name, parameter.numel(), SCALE)
            parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
    return model.eval()


def packed(tensor: torch.Tensor) -> dict:
    data = base64.b64encode(tensor.detach().contiguous().numpy().tobytes()).decode()
    return {"shape": list(tensor.shape), "f32": data}


def pixels(size: int) -> torch.Tensor:
    return torch.from_numpy(named_values(f"pixels {size}", 3 * size * size, 2.0)).reshape(1, 3, size, size)


def unit(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(x, dim=-1)


def blip() -> dict:
    config = BlipConfig(
        text_config=TEXT | dict(encoder_hidden_size=32, is_decoder=True), vision_config=VISION, image_text_hidden_size=16
    )
    model = with_named_weights(BlipForImageTextRetrieval(config), {})
    norm = model.vision_model.post_layernorm
    seen = model.vision_model(pixel_values=pixels(48), output_hidden_states=True)
    tokens = seen.last_hidden_state
    large = model.vision_model(pixel_values=pixels(80), interpolate_pos_encoding=True).last_hidden_state
    text = dict(input_ids=IDS, attention_mask=MASK, output_hidden_states=True)
    alone = model.text_encoder(**text)
    both = tokens.expand(2, -1, -1)
    grounded = model.text_encoder(
        **text, encoder_hidden_states=both, encoder_attention_mask=torch.ones(both.shape[:2], dtype=torch.long)
    )
    return {
        "vision": [packed(norm(hidden)) for hidden in seen.hidden_states],
        "larger picture": packed(large),
        "text": [packed(hidden) for hidden in alone.hidden_states],
        "grounded": [packed(hidden) for hidden in grounded.hidden_states],
        "target": packed(unit(model.vision_proj(tokens[:, 0]))),
        "larger target": packed(unit(model.vision_proj(large[:, 0]))),
        "text embedding": packed(unit(model.text_proj(alone.last_hidden_state[:, 0]))),
        "query": packed(unit(model.text_proj(grounded.last_hidden_state[:, 0]))),
        "shapes": {name: list(tensor.shape) for name, tensor in model.state_dict().items()},
    }


def bert() -> dict:
    model = with_named_weights(BertModel(BertConfig(**TEXT)), {})
    hidden = model(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    return {"text": [packed(one) for one in hidden], "shapes": shapes}


def vit() -> dict:
    # Transformers 5 has other names in memory than in files.
    saved = {"layers.": "encoder.layer.", "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense"}
    saved |= {"attention.o_proj": "attention.output.dense"}
    saved |= {f"attention.{part[0]}_proj": f"attention.attention.{part}" for part in ("query", "key", "value")}
    model = with_named_weights(ViTModel(ViTConfig(**VISION)), saved)
    hidden = model(pixel_values=pixels(48), output_hidden_states=True).hidden_states
    shapes = {}
    for name, tensor in model.state_dict().items():
        for new, old in saved.items():
            name = name.replace(new, old)
        shapes[name] = list(tensor.shape)
    return {"vision": [packed(model.layernorm(one)) for one in hidden], "shapes": shapes}


def main() -> None:
    with torch.no_grad():
        fixture = {
            "versions": [torch.__version__, transformers.__version__],
            "ids": IDS.tolist(),
            "mask": MASK.tolist(),
            **{"blip": blip(), "bert": bert(), "vit": vit()},
        }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "parity.json"
    path.write_text(json.dumps(fixture) + "\n")


main()
