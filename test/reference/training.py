"""Writes test/fixtures/training.json: the gradient of every parameter of a tiny CASE after one batch, for both losses, and
the losses of 20 steps of AdamW, by PyTorch with the modules of Hugging Face's BLIP. Weights are named_values.

Run: pip install torch transformers numpy && python test/reference/training.py, then npm run format
"""

import json
import math
import pathlib
import random

import numpy as np
import torch
import transformers
from named import named_values, packed
from torch.nn.functional import cross_entropy, normalize
from transformers import BlipConfig, BlipForImageTextRetrieval

SCALE = 0.25
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "[REV]"]
TOKENS = SPECIAL + ["make", "it", "red", "blue", "round", "larger", "with", "a", "dog", "hat", "no", "longer"]
PICTURES, SIZE = 12, 16
VISION = dict(hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE)
VISION |= dict(patch_size=4, hidden_act="gelu", layer_norm_eps=1e-3, attention_dropout=0.0)
TEXT = dict(vocab_size=len(TOKENS), hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=3)
TEXT |= dict(max_position_embeddings=12, hidden_act="gelu", layer_norm_eps=1e-4, is_decoder=True)
TEXT |= dict(encoder_hidden_size=16, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
PROJECTION = 12
TEMPERATURE = 0.11
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).reshape(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).reshape(3, 1, 1)
TRAINING = dict(steps=20, pictures=5, triplets=6, accumulation=2, learningRate=4e-3, warmup=4, decay="cosine")
TRAINING |= dict(finalLearningRate=1e-4, weightDecay=0.5, beta2=0.98, clip=1.0, reverse=dict(weight=0.4, share=0.5))


# They come again and again, so that there is something to learn.
BATCHES = 4


def batches() -> list[dict]:
    """Triplets over a few pictures, as a data set gives them. Some share target and kind, some pictures are ignored."""
    draw = random.Random(1)
    result = []
    for number in range(BATCHES):
        count, triplets = (TRAINING["accumulation"] * TRAINING[name] for name in ("pictures", "triplets"))
        pairs = [draw.sample(range(count), 2) for _ in range(triplets)]
        # The second triplet leads from elsewhere to the target of the first.
        pairs[1] = [next(i for i in range(count) if i not in pairs[0]), pairs[0][1]]
        ignore = [[int(i not in pair and draw.random() < 0.2) for i in range(count)] for pair in pairs]
        longest = 3 if number % 2 == 0 else 6
        texts = [" ".join(draw.choices(TOKENS[len(SPECIAL) :], k=draw.randint(1, longest))) for _ in pairs]
        result.append(
            {
                "pictures": draw.sample(range(PICTURES), count),
                "reference": [reference for reference, _ in pairs],
                "target": [target for _, target in pairs],
                "text": texts,
                "kind": ["move", "move"] + draw.choices(["move", "colour"], k=len(pairs) - 2),
                "ignore": ignore,
            }
        )
    return result


class TinyCase(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        config = BlipConfig(text_config=TEXT, vision_config=VISION, image_text_hidden_size=PROJECTION)
        self.blip = BlipForImageTextRetrieval(config)
        with torch.no_grad():
            for name, parameter in self.blip.named_parameters():
                values = named_values(name, parameter.numel(), SCALE)
                parameter.copy_(torch.from_numpy(values).reshape(parameter.shape))
        self.temperature = torch.nn.Parameter(torch.tensor([TEMPERATURE]))
        bytes_ = np.floor((named_values("pictures", PICTURES * SIZE * SIZE * 3, 1.0).astype(np.float64) + 1) * 128)
        pictures = torch.from_numpy(bytes_.astype(np.float32)).reshape(PICTURES, SIZE, SIZE, 3).permute(0, 3, 1, 2)
        self.pictures = (pictures / 255 - MEAN) / STD

    def loss(self, batch: dict, kind: str) -> torch.Tensor:
        blip = self.blip
        triplets = len(batch["text"])
        reverse = TRAINING["reverse"]
        back = math.ceil(triplets * reverse["share"])
        ids = [[6, *map(TOKENS.index, text.split()), 3] for text in batch["text"]]
        ids += [[6, 7, *row[1:]] for row in ids[:back]]
        longest = max(map(len, ids))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        reference, target = batch["reference"], batch["target"]
        sources = torch.tensor(reference + target[:back])
        goals = torch.tensor(target + reference[:back])
        ignored = torch.zeros(len(ids), len(batch["pictures"]), dtype=torch.bool)
        ignored[:triplets] = torch.tensor(batch["ignore"]).bool()
        for i in range(back):
            for j in range(triplets):
                same = target[i] == target[j] and batch["kind"][i] == batch["kind"][j]
                if same and reference[i] != reference[j]:
                    ignored[triplets + i, reference[j]] = True

        tokens = blip.vision_model(pixel_values=self.pictures[batch["pictures"]]).last_hidden_state
        gallery = normalize(blip.vision_proj(tokens[:, 0]), dim=-1)
        seen = tokens[sources]
        hidden = blip.text_encoder(
            input_ids=ids,
            attention_mask=(ids != 0).long(),
            encoder_hidden_states=seen,
            encoder_attention_mask=torch.ones(seen.shape[:2], dtype=torch.long),
        ).last_hidden_state
        queries = normalize(blip.text_proj(hidden[:, 0]), dim=-1)
        similarities = queries @ gallery.T
        losses = (contrastive if kind == "contrastive" else recall)(similarities, goals, ignored, self.temperature)
        return losses[:triplets].mean() + reverse["weight"] * losses[triplets:].mean()


def contrastive(similarities, goals, ignored, temperature) -> torch.Tensor:
    logits = (similarities / temperature).masked_fill(ignored, -torch.inf)
    return cross_entropy(logits, goals, reduction="none")


def recall(similarities, goals, ignored, _temperature) -> torch.Tensor:
    """The surrogate of Patel et al., arXiv 2108.11179, with their temperatures 0.01 and 1."""
    right = similarities.gather(1, goals[:, None])
    others = ~ignored
    others[torch.arange(len(goals)), goals] = False
    above = torch.sigmoid(((similarities - right) / 0.01).clamp(-50, 50))
    rank = 1 + (above * others).sum(dim=1)
    hits = [torch.sigmoid((k - rank).clamp(-50, 50)) for k in (1, 2, 4, 8, 16)]
    return 1 - torch.stack(hits).mean(dim=0)


def gradients(batch: dict, kind: str) -> dict:
    model = TinyCase()
    loss = model.loss(batch, kind)
    loss.backward()
    values = {name: parameter.grad for name, parameter in model.blip.named_parameters() if parameter.grad is not None}
    if model.temperature.grad is not None:
        values["temp"] = model.temperature.grad
    return {"loss": loss.item(), "gradients": {name: packed(grad.numpy()) for name, grad in values.items()}}


def learning_rate(step: int) -> float:
    peak, final, warmup = TRAINING["learningRate"], TRAINING["finalLearningRate"], TRAINING["warmup"]
    if step < warmup:
        return peak * (step + 1) / warmup
    return final + (peak - final) * (1 + math.cos(math.pi * (step - warmup) / (TRAINING["steps"] - warmup - 1))) / 2


def training(all_batches: list[dict]) -> tuple[list[dict], dict]:
    model = TinyCase()
    parameters = list(model.parameters())
    # Matrices decay; BLIP's class token [1, 1, width] is a vector.
    matrices = [p for p in parameters if sum(extent > 1 for extent in p.shape) > 1]
    vectors = [p for p in parameters if all(p is not other for other in matrices)]
    groups = [{"params": matrices, "weight_decay": TRAINING["weightDecay"]}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, TRAINING["beta2"]), eps=1e-8)
    steps = []
    for step in range(TRAINING["steps"]):
        with torch.no_grad():
            model.temperature.clamp_(0.001, 0.5)
        optimizer.zero_grad()
        # Whole batches: that they are encoded in parts must not show.
        loss = model.loss(all_batches[step % BATCHES], "contrastive")
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, TRAINING["clip"]).item()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        optimizer.step()
        steps.append({"loss": loss.item(), "norm": norm, "temperature": model.temperature.item()})
    after = {name: packed(value.detach().numpy()) for name, value in model.blip.named_parameters()}
    return steps, after | {"temp": packed(model.temperature.detach().numpy())}


def main() -> None:
    all_batches = batches()
    shapes = {name: list(tensor.shape) for name, tensor in TinyCase().blip.state_dict().items()}
    encoder = lambda config: {key: config[key] for key in ("num_attention_heads", "layer_norm_eps")}  # noqa: E731
    config = {"model_type": "blip", "vision_config": encoder(VISION), "text_config": encoder(TEXT)}
    steps, after = training(all_batches)
    fixture = {
        "versions": [torch.__version__, transformers.__version__],
        "scale": SCALE,
        "tokens": TOKENS,
        "pictures": PICTURES,
        "config": config | {"casement": {"temperature": TEMPERATURE}},
        "training": TRAINING,
        "shapes": shapes,
        "batches": all_batches,
        "gradients": {kind: gradients(all_batches[0], kind) for kind in ("contrastive", "recall")},
        "steps": steps,
        "after": after,
    }
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "training.json"
    path.write_text(json.dumps(fixture) + "\n")


main()
