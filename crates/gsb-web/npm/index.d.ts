/** Bytes of the largest file that is opened: 200 MB. */
export const LARGEST_FILE: number;

/** The thresholds of the three groups that networks are trained with: [0.5, 0.7, 0.9]. */
export const TRAINED_THRESHOLDS: Thresholds;

/** Whether this browser has WebAssembly's SIMD128. */
export function hasSimd(): boolean;

/** Where the engine comes from; by default from the files of this package. */
export interface Options {
  /** Whether to take the build for SIMD128; by default if the browser has it. */
  simd?: boolean;
  /** The compiled module: of `simd.wasm` or `scalar.wasm`. */
  module?: (simd: boolean) => WebAssembly.Module | Promise<WebAssembly.Module>;
  /** A worker that runs `worker.js`. */
  worker?: () => Worker;
}

/**
 * A packed model in a worker of its own. Questions are answered one after another. Whatever goes wrong is an
 * `Error` whose message says what; after `the engine ended: ...` only a new model answers.
 */
export class PackedModel {
  private constructor();
  /** Opens a packed file. Refused with a reason: files above {@link LARGEST_FILE}, damaged ones, others. */
  static open(bytes: Blob | ArrayBuffer | Uint8Array, options?: Options): Promise<PackedModel>;
  /** A DeiT-S of random weights, for measurements: the same on every machine. */
  static randomDeitSmall(options?: Options): Promise<PackedModel>;
  /** What the file holds. */
  readonly description: Description;
  /**
   * Classifies pixels from 0 to 255: `height x width x channels`. With other thresholds than the trained ones, the
   * whole network decides by them: what a layer attends to changes what the next one sees.
   */
  predict(pixels: Uint8Array | Uint8ClampedArray, options?: { thresholds?: Thresholds }): Promise<Prediction>;
  /**
   * The attention of a head for what was predicted last, at its thresholds; what `predict` refused is not. Both are
   * counted from 0.
   */
  attention(layer: number, head: number): Promise<Attention>;
  /** The weights of a layer that has some of few bits. */
  weights(layer: string): Promise<Weights>;
  /** The layers in the order of the forward pass, with bytes and operations. */
  layers(): Layer[];
  /** Predicts the last picture again and again, or a random one if there is none. */
  bench(milliseconds?: number): Promise<Bench>;
  /** Random pixels of the model's size, the same for a seed on every machine. */
  randomPixels(seed: number): Promise<Uint8Array>;
  /** Ends the worker. */
  close(): void;
}

export class Prediction {
  private constructor();
  /** A number for each class, to the bit those of the native program. */
  readonly logits: Float32Array;
  /** Softmax of the logits. */
  readonly probabilities: number[];
  /** The likeliest classes, the likeliest first. */
  top(count?: number): Ranked[];
}

export interface Ranked {
  class: number;
  name: string;
  logit: number;
  probability: number;
}

/**
 * Of the first group in parts of its scale, from 0.001 to 1000; of the others in parts of the largest element, from
 * 0.001 to 1. A model whose attention has levels in place of groups takes the trained ones alone.
 */
export type Thresholds = [first: number, second: number, third: number];

/** The attention of a head; matrices are `[queries, keys]`, tokens as `[class, distillation?, patches...]`. */
export class Attention {
  private constructor();
  readonly tokens: number;
  /** The groups that each element belongs to, the first the lowest bit. */
  readonly groups: Uint8Array;
  /** Softmax plus shift, of which the groups are taken. */
  readonly elements: Float32Array;
  /** The largest element that each query is compared with; levels are not. */
  readonly largest: Float32Array;
  /** What each group counts for; as many as there are groups. */
  readonly scales: Float32Array;
  /** Whether the groups are those of levels in their place: an element of level 2 belongs to the first two. */
  readonly ofLevels: boolean;
  /**
   * The groups that the same elements would belong to at other thresholds, without what that changes elsewhere; of
   * levels, those that they belong to.
   */
  groupsAt(thresholds: Thresholds): Uint8Array;
  /** The matrix that multiplies the value, of the groups. */
  weightsOf(groups: Uint8Array): Float32Array;
}

export interface Weights {
  /** Number of outputs. */
  rows: number;
  /** Number of inputs. */
  columns: number;
  /** Bits of a weight. */
  bits: number;
  /** Signs (-1, 0 or 1) or levels, row after row. */
  values: Int8Array;
}

export interface Bench {
  instructions: "simd128" | "scalar";
  /** How many pictures were predicted. */
  pictures: number;
  /** Milliseconds a picture, of the fastest 5 ms. */
  least: number;
  /** Milliseconds a picture, median. */
  median: number;
  /** Pictures a second, of the median. */
  perSecond: number;
}

export interface Layer {
  name: string;
  /** Bytes in the file. */
  bytes: number;
  /** Outputs and inputs of a weight of few bits. */
  weights: [rows: number, columns: number] | null;
  bits: number | null;
  /** Multiplications with addition of one-bit factors, for one picture. */
  binary_macs: number;
  /** Multiplications with addition of other factors, for one picture. */
  other_macs: number;
}

export interface Description {
  instructions: "simd128" | "scalar";
  /** Bytes of the file. */
  bytes: number;
  /** Of them, header and metadata. */
  header_bytes: number;
  config: {
    image_size: number;
    patch_size: number;
    channels: number;
    classes: number;
    width: number;
    depth: number;
    heads: number;
    mlp_width: number;
    distillation_token: boolean;
    attention_groups: number;
    /** Bits of the levels that take the place of groups, where they do. */
    attention_bits?: number;
    value_groups: number;
    scope: "Batch" | "Sample" | "Row";
    head_bits: number;
    patch_bits: number;
    norm_epsilon: number;
  };
  tokens: number;
  /** Tokens before those of the patches: class token, distillation token. */
  learned_tokens: number;
  class_names: string[];
  preprocessing: { resize: number | null; interpolation: string; mean: number[]; deviation: number[] };
  provenance: Record<string, string>;
  layers: Layer[];
}
