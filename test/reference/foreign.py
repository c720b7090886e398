"""Writes test/fixtures/checkpoints/foreign*.pth: a state dict among all that trainers put beside it.

Run: pip install torch numpy && python test/reference/foreign.py
"""

import argparse
import collections
import datetime
import decimal
import enum
import functools
import json
import pathlib
import uuid

import numpy as np
import torch

FOLDER = pathlib.Path(__file__).parent.parent / "fixtures" / "checkpoints"


class Mode(enum.Enum):
    TRAIN = 1


class Settings(dict):
    """A dictionary of a class of its own, as EasyDict and Lightning's AttributeDict are."""


class Schedule:
    """An object that knows itself, and holds a tensor that nobody needs."""

    def __init__(self) -> None:
        self.me = self
        self.buffer = torch.arange(3.0)


class Slotted:
    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 3


def state() -> dict[str, torch.Tensor]:
    base = torch.arange(24, dtype=torch.float32) / 8 - 1
    attributed = base[:6].clone()
    attributed.note = "an attribute"
    parameter = torch.nn.Parameter(base[6:12].clone())
    parameter.note = "an attribute"
    return {
        "plain": base.reshape(4, 6).clone(),
        "transposed": base.reshape(4, 6).t(),
        "expanded row": base[:6].expand(3, 6),
        "expanded number": base[2].expand(2, 2),
        "attributed": attributed,
        "parameter": parameter,
        "tied a": base,
        "tied b": base,
        "half": base[:4].half(),
        "bfloat": base[:4].bfloat16(),
        "double": base[:4].double(),
    }


def others() -> dict[str, torch.Tensor]:
    """What is no float, and no harm while nobody needs it."""
    return {
        "complex": torch.ones(2, dtype=torch.complex64),
        "wide": torch.arange(3).to(torch.uint16),
        "float8": torch.ones(4).to(torch.float8_e4m3fn),
        "sparse": torch.eye(2).to_sparse(),
        "quantized": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "meta": torch.empty(3, device="meta"),
        "array": np.arange(4.0),
        "count": torch.tensor(3),
    }


def main() -> None:
    arguments = argparse.Namespace(
        lr=np.float64(1e-4),
        epochs=np.int64(7),
        out=pathlib.PurePosixPath("/runs/1"),
        mode=Mode.TRAIN,
        device=torch.device("cuda:0"),
        dtype=torch.float16,
        names={"a", "b"},
        frozen=frozenset({1, 2}),
        when=datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC),
        odd=[decimal.Decimal("1.5"), 1 + 2j, range(3), slice(1), b"\xff\x00", bytearray(b"\xff"), 2**300, -5, 1.5],
        undecodable="\udcff",
    )
    saved = {
        "epoch": np.int64(3),
        "args": arguments,
        "settings": Settings(lr=0.1, inner=Settings(a=1)),
        "history": collections.defaultdict(list, {"loss": [np.float32(0.5), 0.25]}),
        "counts": collections.Counter("aab"),
        "queue": collections.deque([1, 2], maxlen=4),
        "schedule": Schedule(),
        "slotted": Slotted(),
        "make": functools.partial(print, "never"),
        "id": uuid.UUID(int=5),
        "random": np.random.RandomState(0).get_state()[:1],
        "curve": np.arange(2000.0),
        "optimizer": {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1}]},
        "net": [{"weights": collections.OrderedDict(state() | others())}],
    }
    torch.save(saved, FOLDER / "foreign.pth")
    torch.save(saved, FOLDER / "foreign5.pth", pickle_protocol=5)
    saved["net"][0]["weights"] = {name: tensor for name, tensor in saved["net"][0]["weights"].items() if name != "wide"}
    torch.save(saved, FOLDER / "foreign-old.pth", _use_new_zipfile_serialization=False)
    values = {
        name: {"shape": list(tensor.shape), "values": tensor.detach().float().flatten().tolist()}
        for name, tensor in state().items()
    }
    (FOLDER / "foreign.json").write_text(json.dumps(values, indent=1) + "\n")


main()
