"""Runs the Python of docs/src/packed-numpy.md as it stands and compares its numbers with the engine's.

    python packed_numpy.py MODEL TRACE

TRACE is what `cargo run -p gsb-packed --example trace MODEL` prints.
"""

import json
import re
import sys
from pathlib import Path

import numpy as np
from safetensors import safe_open

PAGE = Path(__file__).parents[2] / "docs/src/packed-numpy.md"

# Tokens are of magnitude 1 to 10 and sums of few products: the engine's single precision is off by less than
# 2^-20 of the largest.
PRECISION = 2.0**-20


def main(path, trace):
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    trace = {name: np.array(values) for name, values in json.loads(Path(trace).read_text()).items()}
    config = json.loads(safe_open(path, "numpy").metadata()["config"])
    size = config["image_size"]
    computed = {"path": path, "pixels": trace["pixels"].reshape(size, size, config["channels"])}
    exec(compile(code, str(PAGE), "exec"), computed)

    tokens = computed["tokens"]
    expected = trace["embedding"].reshape(tokens.shape)
    largest = np.abs(expected).max()
    off = np.abs(tokens - expected).max()
    assert off <= PRECISION * largest, f"tokens differ by {off}, the largest is {largest}"

    decisions = 0
    for name, signs in [("bits", "qkv_input"), ("query", "query"), ("key", "key")]:
        found, expected = np.sign(computed[name]), trace[signs].reshape(computed[name].shape)
        assert set(np.unique(expected)) >= {-1, 1}, f"{signs} is constant"
        # What is decided by integers and shifts may be a tie; what is not within rounding of one must agree.
        if name == "bits":
            margin = np.abs(computed["normal"] + computed["tensor"](computed["qkv"] + ".shift"))
        else:
            margin = np.abs(computed[name])
        decided = margin > PRECISION * margin.max()
        wrong = (found != expected) & decided
        assert not wrong.any(), f"{wrong.sum()} of {wrong.size} signs of {name} differ"
        decisions += int(decided.sum())
    assert decisions > 0.99 * 3 * tokens.size, f"only {decisions} signs are decided"
    print(f"{Path(path).name}: {tokens.size} tokens' values and {decisions} signs agree")


if __name__ == "__main__":
    main(*sys.argv[1:])
