"""Writes test/fixtures/encoders.json: what timm's and transformers' vision transformers and BERTs compute that are not
built as BLIP's are, in float64, with weights that are named_values of their names in files, and the config.json that
such a file has beside it.

Run: pip install torch timm transformers numpy && python test/reference/encoders.py, then npm run format
"""

import json
import pathlib
import tempfile

import safetensors.torch
import timm
import torch
import transformers
from named import digest, named_values

SCALE = 0.3
SIZE = 32
SMALL = dict(img_size=SIZE, patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=5)
IDS = [[2, 9, 17, 23, 11, 3], [2, 20, 8, 3, 0, 0]]


def pixels() -> torch.Tensor:
    return torch.from_numpy(named_values(f"pixels {SIZE}", 2 * 3 * SIZE * SIZE, 2.0)).reshape(2, 3, SIZE, SIZE).double()


def valued(shapes: dict[str, torch.Size]) -> dict[str, torch.Tensor]:
    named = {name: named_values(name, shape.numel(), SCALE) for name, shape in shapes.items()}
    return {name: torch.from_numpy(values).reshape(shapes[name]) for name, values in named.items()}


def case(title: str, config: dict, shapes: dict, results: dict[str, torch.Tensor]) -> dict:
    return {
        "title": title,
        "config": config,
        "shapes": {name: list(shape) for name, shape in shapes.items()},
        "results": {name: digest(name, tensor) for name, tensor in results.items()},
    }


def of_timm(architecture: str, **options) -> dict:
    args = SMALL | options
    model = timm.create_model(architecture, **args).eval()
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    model.load_state_dict(valued(shapes))
    model.double()
    tokens = model.forward_features(pixels())
    pooled = model.fc_norm(model.pool(tokens))
    # As push_to_hf_hub writes it, with the arguments that the model was made with.
    config = {"architecture": architecture, "num_classes": 5, "num_features": model.num_features}
    config |= {"global_pool": model.global_pool, "model_args": args}
    title = f"timm's {architecture} {' '.join(f'{key}={value}' for key, value in options.items())}".strip()
    return case(title, config, shapes, {"tokens": tokens, "pooled": pooled})


def of_hub(cls: type, config, results) -> dict:
    """A model of transformers', through a file, since its names in memory differ from those in files."""
    with tempfile.TemporaryDirectory() as folder:
        cls(config).save_pretrained(folder)
        path = pathlib.Path(folder) / "model.safetensors"
        shapes = {name: tensor.shape for name, tensor in safetensors.torch.load_file(path).items()}
        safetensors.torch.save_file(valued(shapes), path, {"format": "pt"})
        model = cls.from_pretrained(folder).eval().double()
        beside = json.loads((pathlib.Path(folder) / "config.json").read_text())
    return case(f"{cls.__name__}, {config.hidden_act}", beside, shapes, results(model))


def vision(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    seen = model(pixel_values=pixels())
    pooled = seen.pooler_output
    # The pooler of ViT and DeiT is of another task.
    return {"tokens": seen.last_hidden_state, "pooled": seen.last_hidden_state[:, 0] if pooled is None else pooled}


def text(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    ids = torch.tensor(IDS)
    return {"tokens": model(input_ids=ids, attention_mask=(ids != 0).long()).last_hidden_state}


def main() -> None:
    common = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4)
    wide = common | dict(intermediate_size=48)
    seen = dict(image_size=SIZE, patch_size=8)
    words = dict(vocab_size=24, max_position_embeddings=12)
    with torch.no_grad():
        cases = [
            of_timm("deit3_small_patch16_224"),
            of_timm("vit_small_patch14_reg4_dinov2"),
            of_timm("deit_small_distilled_patch16_224"),
            of_timm("vit_base_patch16_clip_224"),
            of_timm("vit_base_patch16_clip_quickgelu_224"),
            of_timm("vit_so400m_patch16_siglip_256"),
            of_timm("vit_base_patch16_siglip_gap_224"),
            of_timm("vit_betwixt_patch16_reg4_gap_256", qk_norm=True),
            of_timm("vit_small_patch16_224", global_pool="avg"),
            of_timm("vit_small_patch16_224", qkv_bias=False, mlp_ratio=2.5),
            of_hub(transformers.Dinov2Model, transformers.Dinov2Config(**common, **seen, layer_norm_eps=1e-3), vision),
            of_hub(
                transformers.Dinov2WithRegistersModel,
                transformers.Dinov2WithRegistersConfig(**common, **seen, num_register_tokens=3),
                vision,
            ),
            of_hub(transformers.SiglipVisionModel, transformers.SiglipVisionConfig(**wide, **seen), vision),
            of_hub(transformers.CLIPVisionModel, transformers.CLIPVisionConfig(**wide, **seen), vision),
            of_hub(DeiT, transformers.DeiTConfig(**wide, **seen, hidden_act="gelu_new"), vision),
            of_hub(ViT, transformers.ViTConfig(**wide, **seen, hidden_act="relu", qkv_bias=False), vision),
            of_hub(transformers.BertModel, transformers.BertConfig(**wide, **words, hidden_act="gelu_new"), text),
            of_hub(transformers.BertModel, transformers.BertConfig(**wide, **words, hidden_act="relu"), text),
        ]
    fixture = {
        "versions": [torch.__version__, timm.__version__, transformers.__version__],
        "scale": SCALE,
        "size": SIZE,
        "ids": IDS,
        "cases": cases,
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "encoders.json"
    path.write_text(json.dumps(fixture) + "\n")


class DeiT(transformers.DeiTModel):
    def __init__(self, config) -> None:
        super().__init__(config, add_pooling_layer=False)


class ViT(transformers.ViTModel):
    def __init__(self, config) -> None:
        super().__init__(config, add_pooling_layer=False)


main()
