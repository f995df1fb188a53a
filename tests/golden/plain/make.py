"""Writes the checkpoints of this folder and what their models compute.

Tiny models of random weights, made and saved by the libraries that people save theirs with, a folder each:
the checkpoint under the names of the library, its config.json where the library writes one, and in
expected.safetensors pictures, the class token behind the last normalization and the logits. positions.safetensors
holds grids of positions and what timm resizes them to.

    python make.py        # torch 1.13.1, torchvision 0.14.1, timm 1.0.15, transformers 4.46.3, safetensors 0.4.5
"""
import json
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import VisionTransformer
from torchvision.models.vision_transformer import VisionTransformer as TorchVision
from transformers import (
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    ViTConfig,
    ViTForImageClassification,
    ViTModel,
)

HERE = Path(__file__).parent
WIDTH, DEPTH, HEADS, CLASSES = 12, 2, 3, 5
torch.set_num_threads(1)


def randomize(model, seed):
    """Weights large enough that every one of them shows in the outputs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim == 1 and ("norm" in name or "ln" in name) and name.endswith("weight"):
                tensor.copy_(1 + 0.3 * noise)
            elif any(part in name for part in ("gamma", "lambda")):
                tensor.copy_(0.5 + 0.3 * noise)
            elif tensor.ndim == 1 or "token" in name or "pos" in name:
                tensor.copy_(0.3 * noise)
            else:
                tensor.copy_(noise * 1.5 / math.sqrt(tensor[0].numel()))
    return model.eval()


def expect(folder, model, side, features, logits):
    """What the model computes in double precision, and how far single precision is from that."""
    x = torch.randn((2, 3, side, side), generator=torch.Generator().manual_seed(side))
    outputs = {"features": features, "logits": logits}
    run = lambda model, x: {name: f(model, x) for name, f in outputs.items() if f is not None}
    with torch.no_grad():
        single = run(model, x)
        double = run(model.double(), x.double())
    model.float()
    away = {name: (single[name].double() - double[name]).abs().max().item() for name in double}
    tensors = {"x": x} | {name: value.float().contiguous() for name, value in double.items()}
    save_file(tensors, HERE / folder / "expected.safetensors", {"f32_maxabs": json.dumps(away)})


def fresh(folder):
    shutil.rmtree(HERE / folder, ignore_errors=True)
    (HERE / folder).mkdir()
    return HERE / folder


def timm(folder, seed, kind=VisionTransformer, dtype=torch.float32, side=16, patch=4, **options):
    options = {"num_classes": CLASSES} | options
    model = kind(img_size=side, patch_size=patch, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, **options)
    model = randomize(model, seed)
    path = fresh(folder)
    state = {name: tensor.to(dtype).clone() for name, tensor in model.state_dict().items()}
    save_file(state, path / "model.safetensors")
    model.load_state_dict(state)
    config = {
        "architecture": folder,
        "num_classes": options["num_classes"],
        "num_features": WIDTH,
        "global_pool": "token",
        "model_args": {"embed_dim": WIDTH, "num_heads": HEADS},
    }
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    features = lambda model, x: model.forward_features(x)[:, 0]
    expect(folder, model, side, features, (lambda model, x: model(x)) if options["num_classes"] else None)


def face(folder, seed, kind, config, side=16, classifies=True, faint=False):
    model = randomize(kind(config), seed)
    if faint:
        # So small that it shows what the first normalization adds to their variance.
        with torch.no_grad():
            for tensor in model.get_submodule(model.base_model_prefix).embeddings.parameters():
                tensor.mul_(0.01)
    model.save_pretrained(fresh(folder))
    backbone = (lambda model: model) if not classifies else (lambda model: getattr(model, model.base_model_prefix))
    features = lambda model, x: backbone(model)(x).last_hidden_state[:, 0]
    expect(folder, model, side, features, (lambda model, x: model(x).logits) if classifies else None)


def sizes(**more):
    common = {
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "image_size": 16,
        "patch_size": 4,
        "num_labels": CLASSES,
    }
    return common | more


def torchvision(folder, seed):
    model = TorchVision(16, 4, DEPTH, HEADS, WIDTH, 4 * WIDTH, num_classes=CLASSES)
    model = randomize(model, seed)
    torch.save(model.state_dict(), fresh(folder) / "model.pth")

    def features(model, x):
        x = model._process_input(x)
        x = torch.cat([model.class_token.expand(len(x), -1, -1), x], 1)
        return model.encoder(x)[:, 0]

    expect(folder, model, 16, features, lambda model, x: model(x))


def positions():
    """Grids with a class token before them, and without."""
    tensors = {}
    generator = torch.Generator().manual_seed(7)
    for before, after in [(37, 16), (4, 6), (6, 4), (3, 4), (14, 16), (5, 1), (1, 3), (8, 4), (7, 2), (16, 37)]:
        grid = torch.randn((1, 1 + before * before, 2), generator=generator)
        name = f"{before}_{after}"
        tensors[f"{name}.before"] = grid
        tensors[f"{name}.after"] = resample_abs_pos_embed(grid, [after, after], num_prefix_tokens=1)
    save_file(tensors, HERE / "positions.safetensors")


timm("timm_vit", 1)
timm("timm_vit_without_qkv_bias", 2, qkv_bias=False)
timm("timm_deit_distilled", 3, kind=VisionTransformerDistilled)
timm("timm_deit3", 4, no_embed_class=True, init_values=1e-6)
timm("timm_dinov2", 5, side=42, patch=14, init_values=1e-5, num_classes=0)
timm("timm_dinov2_f16", 6, side=42, patch=14, init_values=1e-5, num_classes=0, dtype=torch.float16)
timm("timm_dinov2_bf16", 7, side=42, patch=14, init_values=1e-5, num_classes=0, dtype=torch.bfloat16)
face("hf_vit", 8, ViTForImageClassification, ViTConfig(**sizes(intermediate_size=36)), faint=True)
face("hf_vit_model", 9, ViTModel, ViTConfig(**sizes(intermediate_size=36, qkv_bias=False)), classifies=False)
face("hf_deit", 10, DeiTForImageClassificationWithTeacher, DeiTConfig(**sizes(intermediate_size=36)))
face("hf_deit_of_one_head", 11, DeiTForImageClassification, DeiTConfig(**sizes(intermediate_size=36)))
dinov2 = Dinov2Config(**sizes(image_size=42, patch_size=14))
face("hf_dinov2", 12, Dinov2Model, dinov2, side=42, classifies=False)
face("hf_dinov2_classifier", 13, Dinov2ForImageClassification, dinov2, side=42)
torchvision("torchvision_vit", 14)
positions()
