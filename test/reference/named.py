"""Values that depend on a tensor's name and each element's place only, and what a fixture keeps of a large result;
test/checkpoint-files.ts and test/digest.ts compute the same."""

import base64
import re

import numpy as np
import torch


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


def packed(values: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()


# Elements that are kept of a result with more.
SAMPLES = 320


def digest(name: str, tensor: torch.Tensor) -> dict:
    """Shape, largest magnitude and norm of a result, and its elements: all, or those at places that the name gives."""
    values = tensor.detach().float().contiguous().numpy().ravel()
    kept = values
    if values.size > SAMPLES:
        places = (named_values(f"sample {name}", SAMPLES, 1.0).astype(np.float64) + 1) / 2 * values.size
        kept = values[np.floor(places).astype(np.int64)]
    norm = float(np.linalg.norm(values.astype(np.float64)))
    return {"shape": list(tensor.shape), "largest": float(np.abs(values).max()), "norm": norm, "f32": packed(kept)}


def digests(results: dict[str, torch.Tensor]) -> dict[str, dict]:
    return {name: digest(name, tensor) for name, tensor in results.items()}


def layers(hidden_states: tuple[torch.Tensor, ...]) -> dict[str, torch.Tensor]:
    """What a model of transformers' returns as hidden states, by casement's names."""
    names = ["embeddings", *(f"layer {i}" for i in range(1, len(hidden_states)))]
    return dict(zip(names, hidden_states, strict=True))
