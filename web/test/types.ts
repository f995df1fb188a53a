// Uses every declaration of the package as its types allow and, under `@ts-expect-error`, as they do not: checked by
// `tsc`, never run.
import { Attention, hasSimd, LARGEST_FILE, PackedModel, Prediction, TRAINED_THRESHOLDS } from "../../crates/gsb-web/npm/index.js";
import type { Bench, Description, Layer, Options, Ranked, Thresholds, Weights } from "../../crates/gsb-web/npm/index.js";

export async function everything(file: File, module: WebAssembly.Module): Promise<string[]> {
  const options: Options = { simd: hasSimd() && LARGEST_FILE > 0, module: async () => module, worker: () => new Worker("worker.js") };
  const model: PackedModel = await PackedModel.open(file, options);
  await PackedModel.open(await file.arrayBuffer());
  await PackedModel.open(new Uint8Array(1), { simd: false });
  const random = await PackedModel.randomDeitSmall(options);

  const pixels: Uint8Array = await random.randomPixels(1);
  const prediction: Prediction = await model.predict(pixels);
  const thresholds: Thresholds = [0.5, 0.6, TRAINED_THRESHOLDS[2]];
  await model.predict(new Uint8ClampedArray(64), { thresholds });
  const logits: Float32Array = prediction.logits;
  const ranked: Ranked[] = prediction.top(3);
  const names: string[] = ranked.map(({ name, class: index, logit, probability }) => `${name} ${index} ${logit + probability}`);
  const sum: number = prediction.probabilities.reduce((a, b) => a + b) + logits.length;

  const attention: Attention = await model.attention(0, 1);
  const groups: Uint8Array = attention.groupsAt(thresholds);
  const matrix: Float32Array = attention.weightsOf(attention.groups);
  const counts = [attention.tokens, attention.elements.length, attention.largest.length, attention.scales.length, sum];

  const layers: Layer[] = model.layers();
  const [layer] = layers;
  const outputs: number | undefined = layer?.weights?.[0];
  const weights: Weights = await model.weights(layer?.name ?? "head");
  const values: Int8Array = weights.values;
  const bench: Bench = await model.bench(100);
  const instructions: "simd128" | "scalar" = bench.instructions;
  const description: Description = model.description;
  const scope: "Batch" | "Sample" | "Row" = description.config.scope;
  model.close();
  return [...names, instructions, scope, ...[...counts, outputs, groups.length, matrix.length, values.length].map(String)];
}

export async function refused(model: PackedModel, pixels: Uint8Array): Promise<void> {
  // @ts-expect-error: an address is no file.
  await PackedModel.open("model.packed");
  // @ts-expect-error: made by `open` alone.
  new PackedModel(new Worker("worker.js"));
  // @ts-expect-error: floats are no pixels.
  await model.predict(new Float32Array(64));
  // @ts-expect-error: three groups have three thresholds.
  await model.predict(pixels, { thresholds: [0.5, 0.7] });
  // @ts-expect-error: a head as well as a layer.
  await model.attention(0);
  // @ts-expect-error: what a file holds does not change.
  model.description = undefined;
}
