"""Writes test/fixtures/checkpoints/: small files of each container that PyTorch and Hugging Face write.

Run: pip install torch safetensors numpy && python test/reference/checkpoints.py
"""

import json
import pathlib
import zipfile

import torch
from safetensors.torch import save_file

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "checkpoints"


def tensors() -> dict[str, torch.Tensor]:
    """Every type that a state dict may hold, and views that do not lie in one piece."""
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    return {
        "plain": base.reshape(2, 3, 4).clone(),
        "half": (torch.arange(6) / 3).half(),
        "bfloat": (torch.arange(6) / 3).bfloat16(),
        "double": torch.arange(4, dtype=torch.float64) / 3,
        "transposed": base.reshape(4, 6).t(),
        "part": base[5:11],
        "columns": base.reshape(4, 6)[:, 1:4],
        "every other": base.reshape(2, 3, 4)[:, ::2, ::3],
        "scalar": torch.tensor(0.07),
        "empty": torch.zeros(0, 3),
        "long": torch.arange(3),
        "int": torch.arange(3, dtype=torch.int32),
        "short": torch.arange(3, dtype=torch.int16),
        "char": torch.arange(3, dtype=torch.int8),
        "byte": torch.arange(3, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "parameter": torch.nn.Parameter(base[:4].clone()),
    }


def main() -> None:
    FOLDER.mkdir(exist_ok=True, parents=True)
    state = tensors()
    # As a training script saves it: an OrderedDict with a _metadata attribute, and things around it.
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
    torch.manual_seed(0)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    wrapped = {"model": module.state_dict(), "epoch": 6, "lr": 1e-5, "config": {"image_size": 384, "names": ["a", "b"]}}
    torch.save(state, FOLDER / "new.pth")
    torch.save(state, FOLDER / "old.pth", _use_new_zipfile_serialization=False)
    torch.save(wrapped, FOLDER / "wrapped-new.pth")
    torch.save(wrapped, FOLDER / "wrapped-old.pth", _use_new_zipfile_serialization=False)
    torch.save(state, FOLDER / "protocol5.pth", pickle_protocol=5)
    torch.save(module, FOLDER / "module.pth")
    # The same again, deflated by a packer.
    with zipfile.ZipFile(FOLDER / "new.pth") as stored, zipfile.ZipFile(FOLDER / "deflated.pth", "w") as packed:
        for name in stored.namelist():
            packed.writestr(zipfile.ZipInfo(name), stored.read(name), zipfile.ZIP_DEFLATED)
    # Two files with an index, as save_pretrained splits a large model.
    names = sorted(state)
    parts = [names[::2], names[1::2]]
    shards = FOLDER / "sharded"
    shards.mkdir(exist_ok=True)
    weight_map = {}
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05}-of-{len(parts):05}.safetensors"
        save_file({name: state[name].detach().contiguous() for name in part}, shards / file, {"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (shards / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")
    values = {}
    for group in (state, wrapped["model"]):
        for name, tensor in group.items():
            if tensor.is_floating_point():
                values[name] = {"shape": list(tensor.shape), "values": tensor.detach().float().flatten().tolist()}
    expected = {"torch": torch.__version__, "names": {"state": list(state), "model": list(wrapped["model"])}}
    (FOLDER / "expected.json").write_text(json.dumps(expected | {"values": values}, indent=2) + "\n")


main()
