"""Writes test/fixtures/small.safetensors: a file of the safetensors library with the tensors of safetensors.test.ts.

Run: pip install safetensors numpy && python test/reference/safetensors-file.py
"""

import pathlib

import numpy as np
from safetensors.numpy import save

TENSORS = {
    "b": np.array([[1.5, -2.0, 3.25], [0.0, 1e-3, -1e30]], np.float32),
    "a": np.array([1, -2, 1 << 40], np.int64),
    "half": np.array([1.0, -0.5, 65504.0], np.float16),
    "empty": np.zeros((0, 4), np.float32),
    "scalar": np.array(7, np.uint32),
    "counts": np.array([-1, 2], np.int32),
    "bytes": np.array([1, 2, 3], np.uint8),
    "signed": np.array([-1], np.int8),
    "flags": np.array([True, False]),
    "double": np.array([0.1], np.float64),
    "short": np.array([-3], np.int16),
    "unsigned short": np.array([3], np.uint16),
    "long": np.array([1 << 63], np.uint64),
    "name \"quoted\" \\ é 😀 \uff5e": np.array([2], np.float32),
    "😀": np.array([3], np.float32),
    "\uff5e": np.array([4], np.float32),
    "__proto__": np.array([5], np.float32),
}


path = pathlib.Path(__file__).parent.parent / "fixtures" / "small.safetensors"
path.write_bytes(save(TENSORS, {"format": "pt"}))
