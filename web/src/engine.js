// The engine and the models of this page. They lie in two scripts, since a page of a file may load scripts and
// nothing else: `modern.js` is for SIMD128; `fallback.js` for older browsers, and to measure what SIMD128 gains.
// Its parts, as the package as a whole brings what compresses too.
import { Decoder } from "../node_modules/lzma1/lib/decoder.js";
import { InputBuffer, OutputBuffer } from "../node_modules/lzma1/lib/streams.js";
import { hasSimd, PackedModel } from "../../crates/gsb-web/npm/index.js";
import { decode } from "./z85.js";

/** Whether the browser has SIMD128. */
export const isModern = hasSimd();

let fallback;
const compiled = new Map();
let workerUrl;

function loadFallback() {
  fallback ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "fallback.js";
    script.onload = () => resolve(unpacked(globalThis.gsbFallback));
    script.onerror = () => {
      fallback = undefined;
      script.remove();
      reject(new Error("fallback.js, the engine without SIMD128, cannot be loaded; it belongs beside this page"));
    };
    document.head.append(script);
  });
  return fallback;
}

/** Engine and models, which are compressed together. */
function unpacked({ sizes, text }) {
  const out = new OutputBuffer(sizes.reduce((sum, size) => sum + size, 0));
  new Decoder().decompress(new InputBuffer(decode(text)), out);
  const bytes = out.toArray();
  let end = 0;
  const [module, ...models] = sizes.map((size) => bytes.slice(end, (end += size)));
  return { module, models };
}

let modern;
function loaded(simd) {
  if (!simd) return loadFallback();
  modern ??= unpacked(globalThis.gsbModern);
  return modern;
}

function module(simd) {
  if (!compiled.has(simd)) {
    const compiling = (async () => WebAssembly.compile((await loaded(simd)).module))();
    compiling.catch(() => compiled.delete(simd));
    compiled.set(simd, compiling);
  }
  return compiled.get(simd);
}

function worker() {
  // The worker is text within this page: one of another file would be refused.
  workerUrl ??= URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  return new Worker(workerUrl);
}

export function options(simd = isModern) {
  return { simd, module, worker };
}

/** The bytes of the models that come with the page. */
export async function models() {
  return (await loaded(isModern)).models;
}

export { PackedModel };
