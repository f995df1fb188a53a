"""Times a float DeiT-S (distillation token, 224 pixels) in ONNX Runtime, one image on the CPU.

    pip install onnxruntime onnx
    python onnx_runtime.py [FILE] [--threads N] [--rounds N]

FILE is what `cargo run --release -- --write FILE` wrote: the weights of a model, an image and its
logits, which must come out here too. Without it the weights are random.
"""

import argparse
import json
import statistics
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

DEPTH, WIDTH, HEADS, TOKENS, CLASSES = 12, 384, 6, 198, 1000


def read(path):
    """The tensors of a safetensors file, all of them float32."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], np.float32).reshape(entry["shape"])
        for name, entry in header.items()
    }


def shapes():
    """The shape of each weight by its name in timm."""
    yield "cls_token", [1, 1, WIDTH]
    yield "dist_token", [1, 1, WIDTH]
    yield "pos_embed", [1, TOKENS, WIDTH]
    layers = {"patch_embed.proj": [WIDTH, 3, 16, 16], "norm": [WIDTH]}
    layers |= {"head": [CLASSES, WIDTH], "head_dist": [CLASSES, WIDTH]}
    block = {"norm1": [WIDTH], "attn.qkv": [3 * WIDTH, WIDTH], "attn.proj": [WIDTH, WIDTH]}
    block |= {"norm2": [WIDTH], "mlp.fc1": [4 * WIDTH, WIDTH], "mlp.fc2": [WIDTH, 4 * WIDTH]}
    for i in range(DEPTH):
        layers |= {f"blocks.{i}.{name}": shape for name, shape in block.items()}
    for name, shape in layers.items():
        yield f"{name}.weight", shape
        yield f"{name}.bias", shape[:1]


class Graph:
    """A list of nodes; every operation returns the name of its output."""

    def __init__(self, weights):
        self.nodes, self.constants, self.weights = [], {}, weights

    def constant(self, name, value):
        self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return names if outputs > 1 else names[0]

    def reshape(self, x, *shape):
        name = "shape_" + "_".join(map(str, shape))
        return self.op("Reshape", x, self.constant(name, np.array(shape, np.int64)))

    def weight(self, name):
        return self.constant(name, self.weights[name])

    def linear(self, x, name):
        # One image: its tokens are a matrix, and `Gemm` adds the bias as it multiplies.
        weight, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        return self.op("Gemm", x, weight, bias, transB=1)

    def norm(self, x, name):
        scale, bias = self.weight(name + ".weight"), self.weight(name + ".bias")
        return self.op("LayerNormalization", x, scale, bias, epsilon=1e-6)

    def attention(self, x, name):
        split = self.constant("split", np.full(3, WIDTH, np.int64))
        parts = self.op("Split", self.linear(x, name + ".qkv"), split, axis=1, outputs=3)
        parts = [self.reshape(part, TOKENS, HEADS, WIDTH // HEADS) for part in parts]
        orders = [[1, 0, 2], [1, 2, 0], [1, 0, 2]]
        q, k, v = (self.op("Transpose", part, perm=order) for part, order in zip(parts, orders))
        scale = self.constant("scale", np.float32((WIDTH / HEADS) ** -0.5))
        matrix = self.op("Softmax", self.op("Mul", self.op("MatMul", q, k), scale), axis=-1)
        merged = self.op("Transpose", self.op("MatMul", matrix, v), perm=[1, 0, 2])
        return self.linear(self.reshape(merged, TOKENS, WIDTH), name + ".proj")

    def deit(self, x):
        proj = self.weight("patch_embed.proj.weight"), self.weight("patch_embed.proj.bias")
        x = self.reshape(self.op("Conv", x, *proj, strides=[16, 16]), WIDTH, TOKENS - 2)
        tokens = [self.reshape(self.weight(name), 1, WIDTH) for name in ("cls_token", "dist_token")]
        x = self.op("Concat", *tokens, self.op("Transpose", x, perm=[1, 0]), axis=0)
        x = self.op("Add", x, self.reshape(self.weight("pos_embed"), TOKENS, WIDTH))
        for i in range(DEPTH):
            name = f"blocks.{i}."
            x = self.op("Add", x, self.attention(self.norm(x, name + "norm1"), name + "attn"))
            hidden = self.op("Gelu", self.linear(self.norm(x, name + "norm2"), name + "mlp.fc1"))
            x = self.op("Add", x, self.linear(hidden, name + "mlp.fc2"))
        x = self.norm(x, "norm")
        heads = []
        for row, name in enumerate(["head", "head_dist"]):
            token = self.op("Gather", x, self.constant(f"row_{row}", np.array([row])), axis=0)
            heads.append(self.linear(token, name))
        logits = self.op("Add", *heads)
        return self.op("Mul", logits, self.constant("half", np.float32(0.5)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--save", help="where to write the ONNX model")
    args = parser.parse_args()

    random = np.random.default_rng(1)
    if args.file:
        tensors = read(args.file)
    else:
        needed = [*shapes(), ("image", [1, 3, 224, 224])]
        tensors = {name: random.normal(0, 0.02, shape).astype(np.float32) for name, shape in needed}
    image, expected = tensors.pop("image"), tensors.pop("logits", None)
    graph = Graph(tensors)
    logits = graph.deit("image")
    ends = [("image", [1, 3, 224, 224]), (logits, [1, CLASSES])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    constants = list(graph.constants.values())
    graph = helper.make_graph(graph.nodes, "deit", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    if args.save:
        onnx.save(model, args.save)

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    times = []
    for _ in range(5 + args.rounds):
        start = time.perf_counter()
        [found] = session.run(None, {"image": image})
        times.append((time.perf_counter() - start) * 1e3)
    times = times[5:]
    parameters = sum(weight.size for weight in tensors.values())
    print(f"onnxruntime {ort.__version__}, {parameters:,} parameters, {args.threads} thread(s)")
    print(f"ms per image: min {min(times):.1f}, median {statistics.median(times):.1f}")
    assert found.shape == (1, CLASSES) and np.isfinite(found).all()
    if expected is not None:
        difference = np.abs(found - expected).max() / np.abs(expected).max()
        print(f"logits differ from those of the file by {difference:.1e} of the largest")
        assert difference < 1e-3


if __name__ == "__main__":
    main()
