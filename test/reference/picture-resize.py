"""Writes test/fixtures/picture-resize.json: small pictures squashed by Pillow's bicubic filter.

Run: pip install pillow && python test/reference/picture-resize.py
"""

import json
import pathlib
import random

from PIL import Image, __version__

# (width, height, size): shrinking, enlarging, both at once, one pass only, and a single pixel.
CASES = [(16, 16, 5), (13, 7, 4), (3, 5, 8), (20, 4, 9), (6, 11, 6), (1, 1, 3), (23, 17, 1)]


def main() -> None:
    draw = random.Random(0)
    cases = []
    for width, height, size in CASES:
        # Black and white only, in part: overshoot of the filter must be clipped as Pillow clips it.
        levels = [0, 255] if width % 2 else list(range(256))
        rgb = bytes(draw.choice(levels) for _ in range(width * height * 3))
        picture = Image.frombytes("RGB", (width, height), rgb).resize((size, size), Image.Resampling.BICUBIC)
        cases.append(
            {"width": width, "height": height, "size": size, "rgb": list(rgb), "resized": list(picture.tobytes())}
        )
    path = pathlib.Path(__file__).parent.parent / "fixtures" / "picture-resize.json"
    path.write_text(json.dumps({"pillow": __version__, "cases": cases}, separators=(",", ":")) + "\n")


main()
