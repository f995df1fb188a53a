// The engine and the models of this page. They lie in scripts, since a page of a file may load scripts and nothing
// else: `modern.js` is for SIMD128; `fallback.js` for older browsers, and to measure what SIMD128 gains; `teacher.js`
// holds the float teacher, `mnist.js` and `flowers.js` other students, for whoever asks for them.
// Its parts, as the package as a whole brings what compresses too.
import { Decoder } from "../node_modules/lzma1/lib/decoder.js";
import { InputBuffer, OutputBuffer } from "../node_modules/lzma1/lib/streams.js";
import { hasSimd, PackedModel } from "../../crates/gsb-web/npm/index.js";
import { decode } from "./z85.js";

/** Whether the browser has SIMD128. */
export const isModern = hasSimd();

const compiled = new Map();
const scripts = new Map();
let workerUrl;

/** What a script beside this page defines, loaded once. */
function defined(file, name, what) {
  if (!scripts.has(file)) {
    const loading = new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = file;
      const failed = () => {
        // Another attempt may have more luck.
        scripts.delete(file);
        script.remove();
        reject(new Error(`${file}, ${what}, cannot be loaded; it belongs beside this page`));
      };
      script.onerror = failed;
      // What was loaded may be something else, or only a part.
      script.onload = () => (globalThis[name] ? resolve(globalThis[name]) : failed());
      document.head.append(script);
    });
    scripts.set(file, loading);
  }
  return scripts.get(file);
}

/** Files, which are compressed together. */
function unpacked({ sizes, text }) {
  const out = new OutputBuffer(sizes.reduce((sum, size) => sum + size, 0));
  new Decoder().decompress(new InputBuffer(decode(text)), out);
  const bytes = out.toArray();
  let end = 0;
  return sizes.map((size) => bytes.slice(end, (end += size)));
}

/** Engine and models. */
const engines = new Map();
function loaded(simd) {
  if (!engines.has(simd)) {
    // The page itself loads the modern one, and may have failed to.
    const packed = simd
      ? (globalThis.gsbModern ?? defined("modern.js", "gsbModern", "the engine with its students"))
      : defined("fallback.js", "gsbFallback", "the engine without SIMD128");
    const loading = Promise.resolve(packed).then((packed) => {
      const [module, ...models] = unpacked(packed);
      return { module, models };
    });
    loading.catch(() => engines.delete(simd));
    engines.set(simd, loading);
  }
  return engines.get(simd);
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

/** A file, and its logits natively. */
async function fetched(file, name, what) {
  const packed = await defined(file, name, what);
  return { bytes: unpacked(packed)[0], expected: packed.expected };
}

/** The float teacher, and its logits of the samples. */
export function teacherFile() {
  return fetched("teacher.js", "gsbTeacher", "the float teacher");
}

/** Another student, and its logits of random pictures, the first of seed 0. */
export function studentFile({ name, id }) {
  return fetched(`${id}.js`, `gsb_${id}`, `the student of ${name}`);
}

export { PackedModel };
