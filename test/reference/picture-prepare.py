"""Writes test/fixtures/picture-prepare.json: what torchvision's Resize and CenterCrop make of small pictures.

Pillow 13 does the vertical pass first for some sizes, which differs by one level here and there.

Run: pip install pillow==11.3.0 torchvision && python test/reference/picture-prepare.py, then npm run format
"""

import json
import pathlib
import random

import torchvision
from PIL import Image
from torchvision.transforms.v2.functional import InterpolationMode, center_crop, resize

# (width, height, size, side before the crop): odd and even margins, higher and wider ones, none at all.
CASES = [(16, 16, 5, 5), (13, 7, 4, 4), (7, 13, 4, 5), (20, 4, 4, 6), (6, 11, 6, 9), (5, 5, 6, 8), (31, 23, 10, 11)]


def main() -> None:
    draw = random.Random(1)
    cases = []
    for width, height, size, side in CASES:
        rgb = bytes(draw.randrange(256) for _ in range(width * height * 3))
        picture = Image.frombytes("RGB", (width, height), rgb)
        for fit in ("squash", "crop"):
            for filter in ("bilinear", "bicubic"):
                to = [side, side] if fit == "squash" else [side]
                made = center_crop(resize(picture, to, InterpolationMode(filter)), [size, size])
                case = {"width": width, "height": height, "size": size, "zoom": side / size, "fit": fit}
                cases.append(case | {"filter": filter, "rgb": list(rgb), "made": list(made.tobytes())})
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "picture-prepare.json"
    path.write_text(json.dumps({"torchvision": torchvision.__version__, "cases": cases}, separators=(",", ":")) + "\n")


main()
