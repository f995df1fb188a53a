"""DeiT-S (distillation token, 224 pixels) in ONNX Runtime on the CPU, as a process that computes when it is told to.

    pip install onnxruntime onnx
    cargo run --release          # starts it
    python onnx_runtime.py FOLDER [--threads N] [--bits 8]

FOLDER has the weights of a model, an image and its logits. Prints its name and how far its logits are from those, with
a tabulator between them; then each line of the standard input is a number of images, and its answer their milliseconds.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

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


def model_of(weights):
    """The network of weights by their names in timm."""
    graph = Graph(weights)
    logits = graph.deit("image")
    ends = [("image", [1, 3, 224, 224]), (logits, [1, CLASSES])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in ends]
    constants = list(graph.constants.values())
    graph = helper.make_graph(graph.nodes, "deit", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bits", type=int, choices=[8, 32], default=32)
    args = parser.parse_args()

    model = model_of(read(args.folder / "weights.safetensors"))
    example = read(args.folder / "example.safetensors")
    if args.bits == 8:
        # Weights once, activations as they come: what ONNX Runtime does without images to calibrate with. Its integer
        # convolution takes no signed weights.
        path = args.folder / f"int8-{args.threads}.onnx"
        quantize_dynamic(model, path, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"])
        model = onnx.load(path)
        integer = sum(node.op_type == "MatMulInteger" for node in model.graph.node)
        assert integer >= 48, f"{integer} products of integers, expected those of 12 blocks and the heads"
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = args.threads, 1
    # Others have their turn in between.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])

    def classify():
        start = time.perf_counter()
        [logits] = session.run(None, {"image": example["image"]})
        return (time.perf_counter() - start) * 1e3, logits

    kind = "float" if args.bits == 32 else "int8"
    expected = example["logits"]
    difference = np.abs(classify()[1] - expected).max() / np.abs(expected).max()
    print(f"ONNX Runtime {ort.__version__}, {kind}\t{difference:e}", flush=True)
    for line in sys.stdin:
        classify()
        print(*[classify()[0] for _ in range(int(line))], flush=True)


if __name__ == "__main__":
    main()
