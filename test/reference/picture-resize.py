"""Writes test/fixtures/picture-resize.json: small pictures squashed by Pillow's bicubic filter, and whole files of every
kind that people have.

Run: pip install pillow numpy && python test/reference/picture-resize.py, then npm run format
"""

import base64
import io
import json
import math
import pathlib
import random
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms, __version__

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


def saved(picture: Image.Image, format: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, format=format, **options)
    return stream.getvalue()


def chunk(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I", len(contents)) + kind + contents + struct.pack(">I", zlib.crc32(kind + contents))


def png16(levels: np.ndarray, colour: int) -> bytes:
    """A PNG of 16 bits from [height, width, channels], which Pillow can't write."""
    height, width, _ = levels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in levels)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )


def other_profile() -> bytes:
    """The sRGB profile with its red and green primaries exchanged: whoever applies it changes every colour."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    at = {bytes(profile[o : o + 4]): o for o in range(132, 132 + 12 * count, 12)}
    red, green = at[b"rXYZ"], at[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


def with_key(picture: Image.Image) -> Image.Image:
    """CMYK whose black is in K, as printers have it; Pillow's own conversion leaves K empty."""
    rgb = np.asarray(picture).astype(int)
    light = rgb.max(axis=2, keepdims=True)
    cmy = 255 * (light - rgb) // np.maximum(light, 1)
    return Image.frombytes("CMYK", picture.size, np.concatenate([cmy, 255 - light], axis=2).astype(np.uint8).tobytes())


def files() -> list[dict]:
    """Files as they come. What Pillow reads counts, laid on white; of 16 bits of grey, where it clips, the upper 8."""
    picture = drawn(41, 31)
    opaque = picture.convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    profile = other_profile()
    sixteen = np.asarray(opaque).astype(np.uint16) * 257
    sixteen += np.where(sixteen < 50_000, 37, 0).astype(np.uint16)
    png = saved(opaque, "PNG")
    contents = {
        "opaque.png": png,
        "transparent.png": saved(picture, "PNG"),
        "bilevel.png": saved(opaque.convert("1"), "PNG"),
        "grey.png": saved(opaque.convert("L"), "PNG"),
        "grey with alpha.png": saved(picture.convert("LA"), "PNG"),
        "palette.png": saved(opaque.quantize(37), "PNG"),
        "palette with alpha.png": saved(picture.quantize(20), "PNG"),
        "palette with one colour clear.png": saved(opaque.quantize(16), "PNG", transparency=3),
        "16 bits.png": png16(sixteen[:16], 2),
        "16 bits of grey.png": png16(sixteen[:, :, 1:2], 0),
        "profile.png": saved(opaque, "PNG", icc_profile=profile),
        "gamma.png": png[:33] + chunk(b"gAMA", struct.pack(">I", 100_000)) + png[33:],
        "turned.png": saved(opaque, "PNG", exif=turned),
        "1 x 1.png": saved(Image.new("RGB", (1, 1), (200, 30, 90)), "PNG"),
        "5000 x 1.png": saved(drawn(5000, 1).convert("RGB"), "PNG"),
        "colour.jpg": saved(opaque, "JPEG", quality=90),
        "halved colour.jpg": saved(opaque, "JPEG", quality=75, subsampling=2),
        "progressive.jpg": saved(opaque, "JPEG", quality=85, progressive=True),
        "grey.jpg": saved(opaque.convert("L"), "JPEG", quality=90),
        "profile.jpg": saved(opaque, "JPEG", quality=90, icc_profile=profile),
        "turned.jpg": saved(opaque, "JPEG", quality=75, exif=turned),
        "CMYK.jpg": saved(with_key(opaque), "JPEG", quality=90),
        "CMYK with halved colour.jpg": saved(with_key(opaque), "JPEG", quality=75, subsampling=2),
        "profile.webp": saved(opaque, "WEBP", lossless=True, icc_profile=profile),
        "transparent.webp": saved(picture, "WEBP", lossless=True, exact=True),
        "lossy.webp": saved(opaque, "WEBP", quality=80),
        "turned.webp": saved(opaque, "WEBP", lossless=True, exif=turned),
        "animated.webp": saved(opaque, "WEBP", lossless=True, save_all=True, append_images=[opaque.rotate(180)]),
        "animated.gif": saved(opaque.quantize(50), "GIF", save_all=True, append_images=[opaque.rotate(180)]),
        "transparent.gif": saved(opaque.quantize(16), "GIF", transparency=2),
        "colour.avif": saved(opaque, "AVIF", quality=90, subsampling="4:4:4"),
        "profile.avif": saved(opaque, "AVIF", quality=90, subsampling="4:4:4", icc_profile=profile),
    }
    result = []
    size = 12
    for name, file in contents.items():
        decoded = Image.open(io.BytesIO(file))
        if decoded.mode in ("RGBA", "LA") or "transparency" in decoded.info:
            decoded = decoded.convert("RGBA")
            decoded = Image.alpha_composite(Image.new("RGBA", decoded.size, (255, 255, 255, 255)), decoded)
        elif decoded.mode == "I;16":
            decoded = Image.fromarray((np.asarray(decoded) >> 8).astype(np.uint8))
        resized = decoded.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
        encoded = base64.b64encode(file).decode()
        result.append({"name": name, "file": encoded, "size": size, "resized": list(resized.tobytes())})
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
