// The float teacher of the digits: a Vision Transformer (Dosovitskiy et al., arXiv 2010.11929) without bits, in the
// order of operations of gsb-vit's `FloatBlock`. Sums are in double precision, since JavaScript has no other.

/** A teacher of a `safetensors` file with the published names, as `gsb export` writes it. */
export class Teacher {
  /** Weights by their names. */
  tensors = new Map();

  constructor(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const start = 8 + Number(view.getBigUint64(0, true));
    const { __metadata__: metadata, ...tensors } = JSON.parse(new TextDecoder().decode(bytes.subarray(8, start)));
    this.config = JSON.parse(metadata["gsb.config"]);
    for (const [name, { data_offsets: [from, to] }] of Object.entries(tensors)) {
      // A copy, as tensors of a file need not begin at a multiple of four bytes.
      this.tensors.set(name, new Float32Array(bytes.slice(start + from, start + to).buffer));
    }
  }

  /** The logits of pixels from 0 to 255, `[height, width]`. */
  logits(pixels, { mean: [mean], deviation: [deviation] }) {
    const { width, depth } = this.config;
    const x = this.#tokens(Float64Array.from(pixels, (pixel) => (pixel / 255 - mean) / deviation));
    for (let block = 0; block < depth; block++) {
      const name = `blocks.${block}`;
      add(x, this.#attention(`${name}.attn`, this.#norm(`${name}.norm1`, x)));
      const hidden = this.#linear(`${name}.mlp.fc1`, this.#norm(`${name}.norm2`, x), width);
      const { length } = this.tensors.get(`${name}.mlp.fc1.bias`);
      add(x, this.#linear(`${name}.mlp.fc2`, hidden.map(gelu), length));
    }
    return this.#linear("head", this.#norm("norm", x.subarray(0, width)), width);
  }

  /** Class token and patches, each at its position: `[tokens, width]`. */
  #tokens(image) {
    const { image_size: size, patch_size: side, width } = this.config;
    const patches = [];
    for (let row = 0; row < size; row += side) {
      for (let column = 0; column < size; column += side) {
        for (let y = row; y < row + side; y++) patches.push(...image.subarray(y * size + column, y * size + column + side));
      }
    }
    const embedded = this.#linear("patch_embed.proj", Float64Array.from(patches), side * side);
    const x = new Float64Array(width + embedded.length);
    x.set(this.tensors.get("cls_token"));
    x.set(embedded, width);
    add(x, this.tensors.get("pos_embed"));
    return x;
  }

  /** `softmax(q k^T / sqrt(d)) v` of all heads, and the output layer: `[tokens, width]`. */
  #attention(name, x) {
    const { width, heads } = this.config;
    const qkv = this.#linear(`${name}.qkv`, x, width);
    const tokens = x.length / width;
    const d = width / heads;
    const attended = new Float64Array(x.length);
    for (let head = 0; head < heads; head++) {
      const part = (token, which) => (token * 3 + which) * width + head * d;
      for (let query = 0; query < tokens; query++) {
        const scores = new Float64Array(tokens);
        for (let key = 0; key < tokens; key++) {
          for (let at = 0; at < d; at++) scores[key] += qkv[part(query, 0) + at] * qkv[part(key, 1) + at];
        }
        const most = Math.max(...scores);
        const powers = scores.map((score) => Math.exp((score - most) / Math.sqrt(d)));
        const sum = powers.reduce((a, b) => a + b);
        for (let key = 0; key < tokens; key++) {
          for (let at = 0; at < d; at++) attended[query * width + head * d + at] += (powers[key] / sum) * qkv[part(key, 2) + at];
        }
      }
    }
    return this.#linear(`${name}.proj`, attended, width);
  }

  /** `x W^T + b` of rows of `inputs` numbers. */
  #linear(name, x, inputs) {
    const [weight, bias] = [this.tensors.get(`${name}.weight`), this.tensors.get(`${name}.bias`)];
    const outputs = bias.length;
    const y = new Float64Array((x.length / inputs) * outputs);
    for (let at = 0; at < y.length; at++) {
      const output = at % outputs;
      const row = ((at - output) / outputs) * inputs;
      let sum = bias[output];
      for (let input = 0; input < inputs; input++) sum += x[row + input] * weight[output * inputs + input];
      y[at] = sum;
    }
    return y;
  }

  /** `(x - mean) / sqrt(variance + epsilon) * weight + bias` of each token. */
  #norm(name, x) {
    const { width, norm_epsilon: epsilon } = this.config;
    const [weight, bias] = [this.tensors.get(`${name}.weight`), this.tensors.get(`${name}.bias`)];
    const y = new Float64Array(x.length);
    for (let first = 0; first < x.length; first += width) {
      const row = x.subarray(first, first + width);
      const mean = row.reduce((a, b) => a + b) / width;
      const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / width;
      const deviation = Math.sqrt(variance + (epsilon ?? 1e-6));
      row.forEach((value, at) => (y[first + at] = ((value - mean) / deviation) * weight[at] + bias[at]));
    }
    return y;
  }
}

function add(x, y) {
  for (let at = 0; at < x.length; at++) x[at] += y[at];
}

/** `x Phi(x)`. */
function gelu(x) {
  return (x * (1 + erf(x / Math.SQRT2))) / 2;
}

/** The error function by its series without cancellation: `2 / sqrt(pi) exp(-x^2) sum of 2^n x^(2n + 1) / (2n + 1)!!`. */
function erf(x) {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
