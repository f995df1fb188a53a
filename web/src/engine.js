// The engine and the models of this page. They lie in two scripts, since a page of a file may load scripts and
// nothing else: `modern.js` is compressed and for SIMD128; `fallback.js` is for older browsers, and to measure
// what SIMD128 gains.
import { hasSimd, PackedModel } from "../../crates/gsb-web/npm/index.js";
import { decode } from "./z85.js";

const modern = globalThis.gsbModern;

/** Whether the browser has all that `modern.js` needs. */
export const isModern = Boolean(modern) && hasSimd() && "DecompressionStream" in globalThis;

let fallback;
const compiled = new Map();
let workerUrl;

function loadFallback() {
  fallback ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "fallback.js";
    script.onload = () => resolve(globalThis.gsbFallback);
    script.onerror = () => {
      fallback = undefined;
      script.remove();
      reject(new Error("fallback.js, the engine without SIMD128, cannot be loaded; it belongs beside this page"));
    };
    document.head.append(script);
  });
  return fallback;
}

async function unpacked(text) {
  const stream = new Blob([decode(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function module(simd) {
  if (!compiled.has(simd)) {
    const bytes = simd ? unpacked(modern.module) : loadFallback().then(({ module }) => decode(module));
    const compiling = bytes.then((bytes) => WebAssembly.compile(bytes));
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
  if (isModern) return Promise.all(modern.models.map(unpacked));
  return (await loadFallback()).models.map(decode);
}

export { PackedModel };
