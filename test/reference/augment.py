"""Makes test/fixtures/augment.json: what torchvision does to pictures, and which parts it takes of them.

    python test/reference/augment.py > test/fixtures/augment.json
"""

import json
import math

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as F

rng = np.random.default_rng(7)


def picture(size):
    """Smooth colours, noise, greys, black and white."""
    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
    pixels[0, :4] = [[0, 0, 0], [255, 255, 255], [128, 128, 128], [255, 0, 0]]
    pixels[1, :6] = [[0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255], [0, 255, 255], [10, 10, 11]]
    return pixels


def listed(array):
    return np.asarray(array).reshape(-1).tolist()


size = 9
pixels = picture(size)
shades = torch.from_numpy(pixels).double().permute(2, 0, 1) / 255
adjust = {
    "brightness": (F.adjust_brightness, [0.0, 0.4, 1.0, 1.7]),
    "contrast": (F.adjust_contrast, [0.0, 0.4, 1.0, 1.7]),
    "saturation": (F.adjust_saturation, [0.0, 0.4, 1.0, 1.7]),
    "hue": (F.adjust_hue, [-0.5, -0.21, 0.0, 0.08, 0.5]),
}
adjusted = [
    {"name": name, "factor": factor, "shades": listed(function(shades, factor).permute(1, 2, 0))}
    for name, (function, factors) in adjust.items()
    for factor in factors
]

# Which part is taken: torchvision's own code, fed with numbers of this file in place of its generator's.
draws = []


def uniform(self, low=0.0, high=1.0):
    return self.fill_(low + (high - low) * draws.pop(0))


def randint(low, high, size):
    return torch.tensor([low + math.floor(draws.pop(0) * (high - low))])


torch.set_default_dtype(torch.float64)
torch.Tensor.uniform_, torch.randint = uniform, randint
parts = []
for side, scale, ratio in [
    (32, (0.5, 1.0), (3 / 4, 4 / 3)),
    (33, (0.08, 1.0), (3 / 4, 4 / 3)),
    (224, (0.08, 1.0), (0.5, 2.0)),
    (15, (0.9, 1.0), (1.5, 3.0)),
    (15, (0.9, 1.0), (0.2, 0.5)),
]:
    for _ in range(12):
        numbers = [float(x) for x in np.round(rng.random(40), 6)]
        # An attempt that fails takes two numbers of its four.
        whole = list(numbers)
        attempts = []

        class Feed(list):
            def pop(self, _):
                return next(feed)

        def stream():
            for attempt in range(10):
                taken.append(attempt)
                yield whole[4 * attempt]
                yield whole[4 * attempt + 1]
                place = tried.pop(0)
                if place:
                    yield whole[4 * attempt + 2]
                    yield whole[4 * attempt + 3]
                    return

        # Whether an attempt fits is told by the definition; torchvision then confirms it by what it asks for.
        tried, taken = [], []
        for attempt in range(10):
            area = side * side * (scale[0] + (scale[1] - scale[0]) * whole[4 * attempt])
            shape = math.exp(math.log(ratio[0]) + (math.log(ratio[1]) - math.log(ratio[0])) * whole[4 * attempt + 1])
            w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            tried.append(0 < w <= side and 0 < h <= side)
        feed = stream()
        draws = Feed()
        top, left, height, width = RandomResizedCrop.get_params(torch.zeros(3, side, side), list(scale), list(ratio))
        parts.append(
            dict(size=side, scale=scale, ratio=ratio, draws=numbers, part=dict(top=top, left=left, height=height, width=width))
        )

image = Image.fromarray(pixels)
crops = [
    {
        "filter": name,
        "part": dict(zip(("top", "left", "height", "width"), part)),
        "pixels": listed(F.resized_crop(image, *part, [size, size], mode)),
    }
    for name, mode in (("bicubic", InterpolationMode.BICUBIC), ("bilinear", InterpolationMode.BILINEAR))
    for part in ((0, 0, 9, 9), (1, 2, 5, 7), (4, 0, 3, 6), (8, 8, 1, 1))
]
mirrored = listed(F.hflip(image))
print(json.dumps(dict(size=size, pixels=listed(pixels), adjusted=adjusted, parts=parts, crops=crops, mirrored=mirrored)))
