// Packed binary Vision Transformers in browsers. Types and documentation: index.d.ts.

/** Bytes of the largest file that is opened. */
export const LARGEST_FILE = 200_000_000;

/** The thresholds of the three groups that networks are trained with. */
export const TRAINED_THRESHOLDS = [0.5, 0.7, 0.9];

// A module with one instruction of SIMD128, i8x16.splat.
const SIMD128 = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];

export function hasSimd() {
  return typeof WebAssembly !== "undefined" && WebAssembly.validate(new Uint8Array(SIMD128));
}

const modules = new Map();

/** The module for this browser, of the files beside this one; downloaded and compiled once. */
function packaged(simd) {
  if (!modules.has(simd)) {
    const url = simd ? new URL("./simd.wasm", import.meta.url) : new URL("./scalar.wasm", import.meta.url);
    const module = fetch(url).then(async (response) => {
      if (!response.ok) throw new Error(`${url} is not there: ${response.status} ${response.statusText}`);
      return WebAssembly.compile(await response.arrayBuffer());
    });
    // Another attempt may have more luck.
    module.catch(() => modules.delete(simd));
    modules.set(simd, module);
  }
  return modules.get(simd);
}

function packagedWorker() {
  return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
}

export class PackedModel {
  #worker;
  #asked = new Map();
  #next = 0;
  #ended;

  /** For {@link PackedModel.open} and {@link PackedModel.randomDeitSmall} alone. */
  constructor(worker) {
    this.#worker = worker;
    worker.onmessage = ({ data: { id, answer, error, ended } }) => {
      const { resolve, reject } = this.#asked.get(id);
      this.#asked.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new Error(error));
      if (ended) this.#end(error);
    };
    worker.onerror = (event) => {
      event.preventDefault?.();
      this.#end(`the worker ended: ${event.message ?? "it could not be started"}`);
    };
    worker.onmessageerror = () => this.#end("the worker gave an answer that cannot be read");
  }

  static async open(bytes, options = {}) {
    const size = bytes.size ?? bytes.byteLength;
    if (!(size <= LARGEST_FILE)) {
      throw new Error(`a file of ${size} bytes is refused, at most ${LARGEST_FILE} are opened`);
    }
    // A copy is given away, so that the caller's bytes stay where they are.
    const copy = bytes instanceof Blob ? await bytes.arrayBuffer() : new Uint8Array(bytes).slice().buffer;
    return PackedModel.#start("open", { bytes: copy }, [copy], options);
  }

  static randomDeitSmall(options = {}) {
    return PackedModel.#start("random", { seed: 1 }, [], options);
  }

  static async #start(call, question, given, options) {
    const simd = options.simd ?? hasSimd();
    const module = await (options.module ?? packaged)(simd);
    const model = new PackedModel((options.worker ?? packagedWorker)());
    try {
      await model.#ask("start", { module });
      model.description = await model.#ask(call, question, given);
    } catch (error) {
      model.close();
      throw error;
    }
    return model;
  }

  async predict(pixels, { thresholds = TRAINED_THRESHOLDS } = {}) {
    const logits = await this.#ask("predict", { pixels: bytesOf(pixels), thresholds: numbersOf(thresholds) });
    return new Prediction(logits, this.description.class_names);
  }

  async attention(layer, head) {
    return new Attention(await this.#ask("attention", { layer, head }));
  }

  weights(layer) {
    return this.#ask("weights", { layer });
  }

  layers() {
    return this.description.layers;
  }

  bench(milliseconds = 1000) {
    return this.#ask("bench", { milliseconds });
  }

  randomPixels(seed) {
    return this.#ask("randomPixels", { seed });
  }

  close() {
    this.#end("the model has been closed");
  }

  #ask(call, question, given = []) {
    if (this.#ended) return Promise.reject(new Error(this.#ended));
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      this.#asked.set(id, { resolve, reject });
      this.#worker.postMessage({ id, call, question }, given);
    });
  }

  #end(reason) {
    this.#ended ??= reason;
    this.#worker.terminate();
    for (const { reject } of this.#asked.values()) reject(new Error(this.#ended));
    this.#asked.clear();
  }
}

function bytesOf(pixels) {
  if (pixels instanceof Uint8Array || pixels instanceof Uint8ClampedArray) return new Uint8Array(pixels);
  throw new TypeError("expected pixels as a Uint8Array: height x width x channels, each from 0 to 255");
}

function numbersOf(thresholds) {
  const numbers = Array.from(thresholds);
  if (numbers.length === 3 && numbers.every((number) => typeof number === "number")) return numbers;
  throw new TypeError("expected a threshold for each of three groups: [first, second, third]");
}

export class Prediction {
  constructor(logits, classNames) {
    this.logits = logits;
    const most = logits.reduce((a, b) => Math.max(a, b), -Infinity);
    const powers = Array.from(logits, (logit) => Math.exp(logit - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    this.probabilities = powers.map((power) => power / sum);
    this.#names = classNames;
  }

  #names;

  top(count = 5) {
    const order = Array.from(this.logits.keys());
    order.sort((a, b) => this.logits[b] - this.logits[a] || a - b);
    return order.slice(0, count).map((index) => ({
      class: index,
      name: this.#names[index],
      logit: this.logits[index],
      probability: this.probabilities[index],
    }));
  }
}

export class Attention {
  constructor(fields) {
    Object.assign(this, fields);
  }

  groupsAt([first, second, third]) {
    const { tokens, elements, largest, scales, ofLevels } = this;
    // What rounds to level 1, 2 or 3, halves to even, belongs to as many groups.
    const level = (element) => {
      const quotient = Math.fround(element / scales[0]);
      return quotient > 2.5 ? 7 : quotient >= 1.5 ? 3 : quotient > 0.5 ? 1 : 0;
    };
    if (ofLevels) return Uint8Array.from(elements, level);
    const parts = [Math.fround(first), Math.fround(second), Math.fround(third)];
    const groups = new Uint8Array(elements.length);
    for (let query = 0; query < tokens; query++) {
      // In single precision, as the network decides.
      const bounds = parts.map((part) => Math.fround(largest[query] * part));
      for (let at = query * tokens; at < (query + 1) * tokens; at++) {
        const element = elements[at];
        let members = Math.fround(element / scales[0]) > parts[0] ? 1 : 0;
        for (let group = 1; group < scales.length; group++) {
          if (element > bounds[group]) members |= 1 << group;
        }
        groups[at] = members;
      }
    }
    return groups;
  }

  weightsOf(groups) {
    const values = Array.from({ length: 8 }, (_, members) =>
      this.scales.reduce((sum, scale, group) => sum + ((members >> group) & 1 ? scale : 0), 0),
    );
    return Float32Array.from(groups, (members) => values[members]);
  }
}
