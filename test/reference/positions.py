"""Writes test/fixtures/positions.json: position embeddings resized by PyTorch as BLIP resizes them.

Run: pip install torch numpy && python test/reference/positions.py, then npm run format
"""

import json
import pathlib

import torch

from named import named_values

# (side of the grid before, after, width)
CASES = [(3, 5, 4), (5, 3, 4), (4, 4, 2), (1, 3, 2), (24, 14, 2), (14, 24, 1), (2, 7, 3)]


def main() -> None:
    cases = []
    for before, after, width in CASES:
        positions = named_values(f"positions {before}", (1 + before * before) * width, 1.0)
        grid = torch.from_numpy(positions[width:].reshape(1, before, before, width)).permute(0, 3, 1, 2)
        resized = torch.nn.functional.interpolate(grid, size=(after, after), mode="bicubic", align_corners=False)
        values = resized.permute(0, 2, 3, 1).flatten().tolist()
        cases.append({"from": before, "to": after, "width": width, "resized": [round(v, 7) for v in values]})
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "positions.json"
    path.write_text(json.dumps({"torch": torch.__version__, "cases": cases}, separators=(",", ":")) + "\n")


main()
