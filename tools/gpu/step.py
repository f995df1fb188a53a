"""Milliseconds of a training step of a float DeiT-S in PyTorch: forward, cross-entropy, backward, AdamW.

    python3 step.py BATCH
"""

import sys
import time

import torch
from torch import nn


class Vit(nn.Module):
    """DeiT-S with a distillation token, in the layers that PyTorch has for it."""

    def __init__(self, width=384, depth=12, heads=6, patch=16, size=224, classes=1000):
        super().__init__()
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.tokens = nn.Parameter(torch.zeros(1, 2, width))
        self.position = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 2, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.heads = nn.ModuleList(nn.Linear(width, classes) for _ in range(2))

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.tokens.expand(len(x), -1, -1), x], 1) + self.position
        x = self.blocks(x)
        return self.heads[0](x[:, 0]) + self.heads[1](x[:, 1])


def main():
    batch = int(sys.argv[1])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Vit().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, weight_decay=0.05)
    images = torch.randn(batch, 3, 224, 224, device=device)
    labels = torch.arange(batch, device=device) % 1000
    times = []
    while len(times) < 4 or sum(times) < 5:
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    times = sorted(times[1:])
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"PyTorch {torch.__version__}, float DeiT-S, batch {batch}, {name}: {1e3 * times[len(times) // 2]:.2f} ms a step")


main()
