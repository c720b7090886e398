"""Writes test/fixtures/picture-resize.json: small pictures squashed by Pillow's bicubic filter, and whole files.

Run: pip install pillow && python test/reference/picture-resize.py, then npm run format
"""

import base64
import io
import json
import math
import pathlib
import random

from PIL import Image, __version__

# (width, height, size): shrinking, enlarging, both at once, one pass only, and a single pixel.
CASES = [(16, 16, 5), (13, 7, 4), (3, 5, 8), (20, 4, 9), (6, 11, 6), (1, 1, 3), (23, 17, 1)]


def drawn(width: int, height: int) -> Image.Image:
    """Slopes, rings and an edge in every channel, half of it see-through by degrees."""
    picture = Image.new("RGBA", (width, height))
    for y in range(height):
        for x in range(width):
            ring = 127.5 + 127.5 * math.sin(math.hypot(x - width / 3, y - height / 2) / 3)
            edge = 255 if x + 2 * y > width else 40
            picture.putpixel((x, y), (255 * x // width, int(ring), edge, min(255, 510 * y // height)))
    return picture


def files() -> list[dict]:
    """Files as they come: lossless, with transparency, and JPEGs with halved colour, one with a note to turn it."""
    picture = drawn(61, 47)
    opaque = picture.convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    result = []
    for name, one, options in [
        ("opaque.png", opaque, {}),
        ("transparent.png", picture, {}),
        ("colour.jpg", opaque, {"quality": 90}),
        ("turned.jpg", opaque, {"quality": 75, "exif": turned}),
    ]:
        stream = io.BytesIO()
        one.save(stream, format="PNG" if name.endswith("png") else "JPEG", **options)
        decoded = Image.open(io.BytesIO(stream.getvalue()))
        if decoded.mode == "RGBA":
            white = Image.new("RGBA", decoded.size, (255, 255, 255, 255))
            decoded = Image.alpha_composite(white, decoded).convert("RGB")
        size = 24
        resized = decoded.resize((size, size), Image.Resampling.BICUBIC)
        file = base64.b64encode(stream.getvalue()).decode()
        result.append({"name": name, "file": file, "size": size, "resized": list(resized.tobytes())})
    return result


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
    path.write_text(json.dumps({"pillow": __version__, "cases": cases, "files": files()}, separators=(",", ":")) + "\n")


main()
