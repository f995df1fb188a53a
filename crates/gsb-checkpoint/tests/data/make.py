"""Writes the checkpoints of this folder with PyTorch, and what they hold as plain safetensors."""

import argparse
import json
import struct
from collections import OrderedDict

import torch


def expected(path, tensors):
    """Floats as float32, everything else as int64, row by row."""
    header, data = {"__metadata__": {"made_by": f"torch {torch.__version__}"}}, b""
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        floats = tensor.is_floating_point()
        tensor = tensor.to(torch.float32 if floats else torch.int64).contiguous()
        start = len(data)
        values = tensor.flatten().tolist()
        data += struct.pack(f"<{len(values)}{'f' if floats else 'q'}", *values)
        header[name] = {
            "dtype": "F32" if floats else "I64",
            "shape": list(tensor.shape),
            "data_offsets": [start, len(data)],
        }
    head = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + data)


torch.manual_seed(0)
base = torch.randn(4, 6)
tensors = OrderedDict(
    f64=torch.randn(3, dtype=torch.float64),
    f16=torch.randn(2, 3).half(),
    bf16=torch.randn(5).bfloat16(),
    i64=torch.tensor([-(2**40), -1, 2**40]),
    i32=torch.tensor([-3, 4], dtype=torch.int32),
    i16=torch.tensor([-300, 400], dtype=torch.int16),
    i8=torch.tensor([-5, 6], dtype=torch.int8),
    u8=torch.tensor([0, 255], dtype=torch.uint8),
    u16=torch.tensor([0, 65535], dtype=torch.uint16),
    u32=torch.tensor([0, 2**32 - 1], dtype=torch.uint32),
    bool=torch.tensor([True, False, True]),
    scalar=torch.tensor(2.5),
    empty=torch.empty(0, 3),
    base=base,
    transposed=base.t(),
    columns=base[:, 1:5:2],
    block=base[1:3, 2:4],
    corner=base[3, 5],
    permuted=torch.randn(2, 3, 4).permute(2, 0, 1),
    expanded=torch.tensor([[1.0], [2.0]]).expand(2, 3),
    parameter=torch.nn.Parameter(torch.randn(2, 2).t()),
    tagged=torch.randn(3),
)
tensors["tagged"].note = "a tensor with an attribute"
expected("kinds.safetensors", tensors)
torch.save(tensors, "kinds.pth")
torch.save(dict(tensors), "kinds_protocol4.pth", pickle_protocol=4)
torch.save(tensors, "legacy.pth", _use_new_zipfile_serialization=False)

model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
optimizer = torch.optim.AdamW(model.parameters())
model(torch.randn(4, 2)).sum().backward()
optimizer.step()
expected("model.safetensors", model.state_dict())
parallel = OrderedDict((f"module.{name}", value) for name, value in model.state_dict().items())
torch.save(
    {
        "epoch": 3,
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(lr=1e-3, sizes=[1, 2], nested={"model": None}),
        "state_dict": parallel,
    },
    "parallel.pth",
)
torch.save(model, "module.pth")
torch.save({"dense": base, "sparse": torch.eye(2).to_sparse()}, "sparse.pth")
torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), "script.pth")
torch.serialization.set_crc32_options(False)
torch.save(model.state_dict(), "no_checksums.pth")
