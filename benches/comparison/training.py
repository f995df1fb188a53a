"""Milliseconds of a training step of both students in PyTorch: forward pass and hard distillation with given teacher
logits, backward pass, AdamW. DeiT-S, as `cargo bench -p gsb-benches --bench training` times it here.

    python3 training.py [--threads 2] [--batch 8] [--steps 9] [--autocast] [--device cuda]

Binarizers are custom autograd functions, written from the equations of the book, where PyTorch's own operations would
record many more.
"""

import argparse
import time

import torch
from torch import nn
from torch.autograd import Function
from torch.nn import functional

GUARD = 1e-5


class BinaryWeight(Function):
    """The sign of the centred weight times the mean magnitude."""

    @staticmethod
    def forward(ctx, w):
        return (w - w.mean()).sign() * w.abs().mean()

    @staticmethod
    def backward(ctx, g):
        return g


class Signed(Function):
    """The sign times a learned scale."""

    @staticmethod
    def forward(ctx, x, a):
        ctx.save_for_backward(x, a)
        return x.sign() * a.clamp(min=GUARD)

    @staticmethod
    def backward(ctx, g):
        x, a = ctx.saved_tensors
        q = x / a.clamp(min=GUARD)
        middle = (q.abs() <= 1).to(x.dtype)
        return middle * g, ((x.sign() - middle * q) * g).sum() / x.numel() ** 0.5


class Unsigned(Function):
    """0 or a learned scale."""

    @staticmethod
    def forward(ctx, x, a):
        ctx.save_for_backward(x, a)
        a = a.clamp(min=GUARD)
        return (x / a).round().clamp(0, 1) * a

    @staticmethod
    def backward(ctx, g):
        x, a = ctx.saved_tensors
        q = x / a.clamp(min=GUARD)
        middle = ((q >= 0) & (q <= 1)).to(x.dtype)
        return middle * g, (((q > 1) + middle * (q.round() - q)) * g).sum() / x.numel() ** 0.5


def members(x, share):
    """The elements of an attention matrix beyond a share of the largest of their image."""
    return (x > share * x.amax((1, 2, 3), keepdim=True)).to(x.dtype)


class Attention(Function):
    """Three nested groups of an attention matrix, with a scale each."""

    @staticmethod
    def forward(ctx, x, a1, a2, a3):
        t1, t2 = members(x, 0.7), members(x, 0.9)
        ctx.save_for_backward(x, t1, t2, a1, a2, a3)
        a = a1.clamp(min=GUARD)
        return (x / a).round().clamp(0, 1) * a + t1 * a2.clamp(min=GUARD) + t2 * a3.clamp(min=GUARD)

    @staticmethod
    def backward(ctx, g):
        x, t1, t2, a1, a2, a3 = ctx.saved_tensors
        q = x / a1.clamp(min=GUARD)
        middle = ((q >= 0) & (q <= 1)).to(x.dtype)
        d1 = (((q > 1) + middle * (q.round() - q)) * g).sum() / x.numel() ** 0.5
        d2, d3 = ((t * g).sum() / t.sum().clamp(min=1).sqrt() for t in (t1, t2))
        return middle * g + t1 * a2.clamp(min=GUARD) * g + t2 * a3.clamp(min=GUARD) * g, d1, d2, d3


class Value(Function):
    """Three nested groups of a value: a sign with a scale, and two ternary ones."""

    @staticmethod
    def forward(ctx, x, a1, a2, a3):
        high, low = x.amax((1, 2, 3), keepdim=True), x.amin((1, 2, 3), keepdim=True)
        t1, t2 = (((x > share * high) | (x < share * low)).to(x.dtype) for share in (0.7, 0.9))
        ctx.save_for_backward(x, t1, t2, a1, a2, a3)
        sign = x.sign()
        return sign * a1.clamp(min=GUARD) + sign * t1 * a2.clamp(min=GUARD) + sign * t2 * a3.clamp(min=GUARD)

    @staticmethod
    def backward(ctx, g):
        x, t1, t2, *scales = ctx.saved_tensors
        ones, middles, grads = torch.ones_like(t1), 0, []
        for t, a in zip((ones, t1, t2), scales):
            q = x * t / a.clamp(min=GUARD)
            middle = (q.abs() <= 1).to(x.dtype)
            grads.append((((x * t).sign() - middle * q) * g).sum() / t.sum().clamp(min=1).sqrt())
            middles = middles + middle
        return middles * g, *grads


def scale(x):
    return nn.Parameter(torch.tensor(float(x)))


class BinaryLinear(nn.Module):
    """A linear layer of one-bit weights, whose inputs have one bit too in stage 2."""

    def __init__(self, inputs, outputs, binarizer=None):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.shift = nn.Parameter(torch.zeros(inputs))
        self.binarizer = binarizer
        if binarizer:
            self.scale = scale(1)

    def forward(self, x):
        x = x + self.shift
        if self.binarizer:
            x = self.binarizer.apply(x, self.scale)
        return functional.linear(x, BinaryWeight.apply(self.linear.weight), self.linear.bias)


class Block(nn.Module):
    """A block of either stage."""

    def __init__(self, width, heads, tokens, stage):
        super().__init__()
        self.heads, self.stage, head = heads, stage, width // heads
        binary = stage == 2
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=1e-12) for _ in range(2))
        self.qkv = BinaryLinear(width, 3 * width, Signed) if binary else nn.Linear(width, 3 * width)
        self.output = BinaryLinear(width, width, Signed) if binary else nn.Linear(width, width)
        self.fc1 = BinaryLinear(width, 4 * width, Signed if binary else None)
        self.fc2 = BinaryLinear(4 * width, width, Unsigned if binary else None)
        self.shifts = nn.ParameterList(torch.zeros(heads, 1, head) for _ in range(3))
        if binary:
            self.attention_shift = nn.Parameter(torch.zeros(heads, tokens, tokens))
            self.query, self.key = scale(1), scale(1)
            self.attention = nn.ParameterList(scale(4 / tokens) for _ in range(3))
            self.value = nn.ParameterList(scale(1) for _ in range(3))

    def forward(self, x):
        batch, tokens, width = x.shape
        parts = self.qkv(self.norms[0](x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = (part + shift for part, shift in zip(parts, self.shifts))
        if self.stage == 2:
            q, k = Signed.apply(q, self.query), Signed.apply(k, self.key)
            v = Value.apply(v, *self.value)
        scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).softmax(-1)
        if self.stage == 2:
            scores = Attention.apply(scores + self.attention_shift, *self.attention)
        x = x + self.output((scores @ v).transpose(1, 2).reshape(batch, tokens, width))
        hidden = functional.gelu(self.fc1(self.norms[1](x)))
        return x + self.fc2(hidden.clamp(-10, 10) if self.stage == 2 else hidden)


class Student(nn.Module):
    """DeiT-S of a stage. The patch embedding and the heads of stage 2 stay float here: they have a few percent of the
    work, and take longer with 8 bits."""

    def __init__(self, stage, width=384, depth=12, heads=6, patch=16, size=224, classes=1000):
        super().__init__()
        patches = (size // patch) ** 2
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.embed_norm = nn.BatchNorm2d(width) if stage == 1 else nn.Identity()
        self.tokens = nn.Parameter(torch.zeros(1, 2, width))
        self.position = nn.Parameter(torch.zeros(1, patches + 2, width))
        self.blocks = nn.Sequential(*(Block(width, heads, patches + 2, stage) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, eps=1e-12)
        self.heads = nn.ModuleList(nn.Linear(width, classes) for _ in range(2))

    def forward(self, images):
        x = self.embed_norm(self.embed(images)).flatten(2).transpose(1, 2)
        x = torch.cat([self.tokens.expand(len(x), -1, -1), x], 1) + self.position
        x = self.norm(self.blocks(x))
        return self.heads[0](x[:, 0]), self.heads[1](x[:, 1])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--autocast", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    device = torch.device(options.device)
    images = torch.randn(options.batch, 3, 224, 224, device=device)
    labels = torch.arange(options.batch, device=device)
    taught = torch.randn(options.batch, 1000, device=device).argmax(1)
    for stage in (1, 2):
        model = Student(stage).to(device)
        # A fresh tensor in one pass each, as the program's own optimizer.
        optimizer = torch.optim.AdamW(model.parameters(), 5e-4, weight_decay=0.05, fused=True)
        times = []
        for _ in range(options.steps + 1):
            start = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.autocast):
                of_class, of_distillation = model(images)
                loss = functional.cross_entropy(of_class, labels) + functional.cross_entropy(of_distillation, taught)
            (loss / 2).backward()
            optimizer.step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times.append(1e3 * (time.perf_counter() - start))
        times = sorted(times[1:])
        middle, best = times[len(times) // 2], times[0]
        where = torch.cuda.get_device_name() if device.type == "cuda" else f"{options.threads} threads"
        name = f"PyTorch {torch.__version__}, stage {stage}, batch {options.batch}, {where}"
        name += ", autocast" * options.autocast
        print(f"{name}: {middle:.1f} ms a step, best {best:.1f}")


main()
