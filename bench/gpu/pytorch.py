"""PyTorch's side of the bench for GPUs: the same ops and training steps on the same card, or on the CPU where there is none.

It answers questions as worker.ts asks them: a line of JSON each on standard input, the answer on descriptor 3. Nothing of
the project needs it but `npm run gpu`, and that only to have something to hold its own figures against.
"""

import contextlib
import json
import math
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
DTYPES = {"f32": torch.float32, "tf32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
BATCHES = 5


def choose(mode: str) -> torch.dtype:
    """The element type of a mode; TF32 is a switch beside it."""
    torch.backends.cuda.matmul.allow_tf32 = mode == "tf32"
    torch.backends.cudnn.allow_tf32 = mode == "tf32"
    return DTYPES[mode]


# Ops: each takes tensors in the order of the op table's inputs.


def linear(gelu):
    def run(x, weight, bias=None, residual=None):
        y = F.linear(x, weight, bias)
        y = F.gelu(y) if gelu else y
        return y if residual is None else y + residual

    return run


def attention(heads):
    def split(x):
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    def run(q, kv=None):
        parts = q.chunk(3, -1) if kv is None else (q, *kv.chunk(2, -1))
        return F.scaled_dot_product_attention(*map(split, parts)).transpose(1, 2).flatten(2)

    return run


def matmul(transpose_a, transpose_b, scale):
    def run(a, b):
        y = (a.mT if transpose_a else a) @ (b.mT if transpose_b else b)
        return y if scale == 1 else y * scale

    return run


def op_of(spec):
    match spec["op"]:
        case "matmul":
            return matmul(spec["transposeA"], spec["transposeB"], spec["scale"])
        case "linear":
            return linear(spec["gelu"])
        case "attention":
            return attention(spec["heads"])
        case "conv2d":
            how = {key: spec[key] for key in ("stride", "padding", "groups")}
            return lambda x, weight: F.conv2d(x, weight, **how)
        case "softmax":
            return lambda x: x.softmax(-1)
        case "gelu":
            return F.gelu
        case "layernorm":
            return lambda x, gamma, beta: F.layer_norm(x, gamma.shape, gamma, beta, spec["eps"])
        case "add":
            return torch.add
        case "mul":
            return torch.mul
        case "sum":
            return torch.sum
        case "sumLeading":
            return lambda x: x.sum(0)
        case "embedding":
            return lambda table, ids: F.embedding(ids, table)
        case "cast":
            return lambda x: x.to(DTYPES[spec["to"]])
    raise ValueError(f"no such op: {spec['op']}")


def prepare_op(spec, shapes, weighted, mode, compiled):
    dtype = choose(mode)
    torch.manual_seed(1)
    if spec["op"] == "copy":
        source = torch.randn(shapes[0], device=DEVICE)
        target = torch.empty_like(source)
        return lambda: target.copy_(source)
    if spec["op"] == "adamw":
        return prepare_adamw(shapes[0])
    if spec["op"] == "embedding":
        rows = shapes[0][0]
        inputs = [
            torch.randn(shapes[0], device=DEVICE, dtype=dtype),
            torch.randint(rows, shapes[1], device=DEVICE),
        ]
    else:
        inputs = [torch.randn(shape, device=DEVICE, dtype=dtype) for shape in shapes]
    op = op_of(spec)
    if compiled:
        op = torch.compile(op)
    if not weighted:

        def forward():
            with torch.no_grad():
                op(*inputs)

        return forward
    learnt = [x.requires_grad_() for x in inputs if x.is_floating_point()]
    gradient = torch.randn_like(op(*inputs))
    return lambda: torch.autograd.grad(op(*inputs), learnt, gradient)


def prepare_adamw(shape):
    parameter = torch.randn(shape, device=DEVICE, requires_grad=True)
    parameter.grad = torch.randn_like(parameter)
    return torch.optim.AdamW([parameter], lr=1e-3, weight_decay=0.05, fused=True).step


# Whole steps: a ViT, and CASE with its BERT that attends to pictures, of the sizes that the project's models have.


class Block(nn.Module):
    """A pre-norm block of a ViT."""

    def __init__(self, width, heads, ratio, eps):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps), nn.LayerNorm(width, eps)
        self.qkv, self.projection = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, ratio * width), nn.Linear(ratio * width, width)
        self.attend = attention(heads)

    def forward(self, x):
        x = x + self.projection(self.attend(self.qkv(self.norm1(x))))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, self.patch = c["width"], c["patchSize"]
        tokens = (c["imageSize"] // self.patch) ** 2 + 1
        self.embed = nn.Linear(3 * self.patch**2, width)
        self.token = nn.Parameter(torch.randn(width) * 0.02)
        self.positions = nn.Parameter(torch.randn(tokens, width) * 0.02)
        blocks = [Block(width, c["heads"], c["mlpRatio"], c["layerNormEpsilon"]) for _ in range(c["depth"])]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, c["layerNormEpsilon"])

    def forward(self, pixels):
        patches = F.unfold(pixels, self.patch, stride=self.patch).mT
        x = torch.cat([self.token.expand(len(pixels), 1, -1), self.embed(patches)], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Layer(nn.Module):
    """A post-norm layer of BERT that attends to pictures."""

    def __init__(self, c, vision):
        super().__init__()
        width, self.heads, self.dropout = c["width"], c["heads"], c["dropout"]
        self.qkv = nn.Linear(width, 3 * width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(vision, 2 * width)
        self.own, self.seen = nn.Linear(width, width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, c["intermediate"]), nn.Linear(c["intermediate"], width)
        self.norms = nn.ModuleList(nn.LayerNorm(width, c["layerNormEpsilon"]) for _ in range(3))

    def attend(self, q, k, v, mask=None):
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, mask, self.dropout)
        return y.transpose(1, 2).flatten(2)

    def forward(self, x, mask, pictures, source, first):
        own = self.attend(*self.qkv(x).chunk(3, -1), mask)
        if first:
            own, x = own[:, :1], x[:, :1]
        x = self.norms[0](F.dropout(self.own(own), self.dropout) + x)
        # Keys and values of each picture once, however many texts ask it.
        k, v = self.key_value(pictures)[source].chunk(2, -1)
        x = self.norms[1](F.dropout(self.seen(self.attend(self.query(x), k, v)), self.dropout) + x)
        return self.norms[2](F.dropout(self.fc2(F.gelu(self.fc1(x))), self.dropout) + x)


class Case(nn.Module):
    def __init__(self, c, vocabulary):
        super().__init__()
        vision, text = c["vision"], c["text"]
        self.dropout = text["dropout"]
        self.vit = Vit(vision)
        self.words = nn.Embedding(vocabulary, text["width"])
        self.places = nn.Parameter(torch.randn(text["maxPositions"], text["width"]) * 0.02)
        self.norm = nn.LayerNorm(text["width"], text["layerNormEpsilon"])
        self.layers = nn.ModuleList(Layer(text, vision["width"]) for _ in range(text["depth"]))
        self.vision_projection = nn.Linear(vision["width"], c["projection"])
        self.text_projection = nn.Linear(text["width"], c["projection"])
        self.temperature = nn.Parameter(torch.tensor([c["temperature"]["initial"]]))

    def forward(self, pixels, ids, mask, source, goals, weights):
        tokens = self.vit(pixels)
        gallery = F.normalize(self.vision_projection(tokens[:, 0]).float(), dim=-1)
        x = F.dropout(self.norm(self.words(ids) + self.places[: ids.shape[1]]), self.dropout)
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, tokens, source, i == len(self.layers) - 1)
        queries = F.normalize(self.text_projection(x[:, 0]).float(), dim=-1)
        similarities = queries @ gallery.T / self.temperature
        return (F.cross_entropy(similarities, goals, reduction="none") * weights).sum()


MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


def prepare_step(spec, mode, compiled):
    """A step as a user would write it: autocast for f16 and bf16, scaled losses for f16, clipping, fused AdamW."""
    dtype = choose(mode)
    torch.manual_seed(1)
    config, batch = spec["config"], spec["batch"]
    size = config["vision"]["imageSize"]
    if spec["model"] == "vit":
        model = Vit(config["vision"]).to(DEVICE)
        pixels = torch.randn(batch, 3, size, size, device=DEVICE)
        with torch.no_grad():
            target = torch.randn_like(model(pixels))

        def loss():
            return F.mse_loss(model(pixels).float(), target)

    else:
        model = Case(config, spec["vocabulary"]).to(DEVICE)
        length = spec["length"]
        back = math.ceil(batch / 4)
        shown = torch.randint(256, (batch, size, size, 3), dtype=torch.uint8)
        shown = shown.pin_memory() if CUDA else shown
        queries = batch + back
        ids = torch.randint(8, min(500, spec["vocabulary"]), (queries, length), device=DEVICE)
        mask = torch.ones(queries, 1, 1, length, dtype=torch.bool, device=DEVICE)
        at = torch.arange(queries, device=DEVICE)
        source, goals = at % batch, (at + 1) % batch
        weights = torch.tensor([1 / batch] * batch + [0.1 / back] * back, device=DEVICE)
        mean = torch.tensor(MEAN, device=DEVICE).reshape(3, 1, 1)
        deviation = torch.tensor(DEVIATION, device=DEVICE).reshape(3, 1, 1)

        def loss():
            # Pictures come from the host in each step, as ours do.
            pixels = shown.to(DEVICE, non_blocking=True).permute(0, 3, 1, 2).float() / 255
            return model((pixels - mean) / deviation, ids, mask, source, goals, weights)

    run_loss = torch.compile(loss) if compiled else loss
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=mode == "f16" and CUDA)
    half = mode in ("f16", "bf16")
    last = {}

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, dtype) if half else contextlib.nullcontext():
            value = run_loss()
        scaler.scale(value).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        last["loss"] = value.detach()

    facts = {"parameters": sum(p.numel() for p in model.parameters())}
    return step, lambda: facts | {"loss": last["loss"].item()}


# Timing.


def seconds_of(run, count):
    if CUDA:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        for _ in range(count):
            run()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000 / count
    start = time.perf_counter()
    for _ in range(count):
        run()
    return (time.perf_counter() - start) / count


def measure(run, seconds):
    """Medians of batches of runs between two CUDA events, after runs that warm up."""
    run()
    once = seconds_of(run, 1)
    count = 2
    while count <= 64 and once * count < 0.05:
        once = seconds_of(run, count)
        count *= 2
    runs = max(1, int(seconds / BATCHES / max(once, 1e-7)))
    times, end = [], time.perf_counter() + 2 * seconds
    for i in range(BATCHES):
        if i == 0 or time.perf_counter() < end:
            times.append(1000 * seconds_of(run, runs))
    result = {"ms": statistics.median(times), "least": min(times), "most": max(times), "runs": runs * len(times)}
    return result | {"gpu_ms": None, "dispatches": None}


def free():
    if CUDA:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def time_op(op, shapes, weighted, mode, seconds, compiled=False):
    try:
        return measure(prepare_op(op, shapes, weighted, mode, compiled), seconds)
    finally:
        free()


def time_step(spec, mode, seconds, compiled=False):
    free()
    try:
        step, facts = prepare_step(spec, mode, compiled)
        result = measure(step, seconds)
        if CUDA:
            result["peak_bytes"] = torch.cuda.max_memory_allocated()
        return result | facts()
    finally:
        step = facts = None
        torch._dynamo.reset() if compiled else None
        free()


def open_device():
    facts = {"version": torch.__version__, "python": sys.version.split()[0], "device": "cpu", "cuda": None}
    if CUDA:
        free_bytes, total = torch.cuda.mem_get_info()
        p = torch.cuda.get_device_properties(0)
        facts |= {"device": p.name, "cuda": torch.version.cuda, "total_bytes": total, "free_bytes": free_bytes}
        facts |= {"multiprocessors": p.multi_processor_count, "capability": f"{p.major}.{p.minor}"}
        # The first product loads libraries.
        (torch.ones(64, 64, device=DEVICE) @ torch.ones(64, 64, device=DEVICE)).sum().item()
    return facts


METHODS = {"open": open_device, "op": time_op, "step": time_step}


def main():
    answers = os.fdopen(3, "w")
    for line in sys.stdin:
        question = json.loads(line)
        answer = {"id": question["id"]}
        try:
            answer["value"] = METHODS[question["method"]](**question["args"])
        except Exception as error:  # Whatever fails costs this question only.
            answer["error"] = f"{type(error).__name__}: {error}"[:2000]
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
