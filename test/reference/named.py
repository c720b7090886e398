"""Values that depend on a tensor's name and each element's place only; test/checkpoint-files.ts computes the same."""

import re

import numpy as np


def named_values(name: str, size: int, scale: float = 0.1) -> np.ndarray:
    """f32 [size], uniform within +-scale around 1 for the weights of norms and around 0 otherwise."""
    seed = 2166136261
    for byte in name.encode():
        seed = ((seed ^ byte) * 16777619) & 0xFFFFFFFF
    with np.errstate(over="ignore"):
        bits = np.arange(size, dtype=np.uint32) * np.uint32(0x9E3779B1) ^ np.uint32(seed)
        bits = (bits ^ (bits >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        bits = (bits ^ (bits >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        bits = (bits ^ (bits >> np.uint32(16))) >> np.uint32(8)
    centre = 1.0 if re.search(r"norm\w*\.weight$", name, re.IGNORECASE) else 0.0
    return (centre + scale * (bits.astype(np.float64) / 2**23 - 1)).astype(np.float32)
