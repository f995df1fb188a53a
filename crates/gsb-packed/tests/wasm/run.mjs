// Runs a WASI program on Node, which has SIMD128: the runner of the tests for wasm32-wasip1.
import { readFile } from "node:fs/promises";
import { WASI } from "node:wasi";

const [program, ...options] = process.argv.slice(2);
const wasi = new WASI({
  version: "preview1",
  args: [program, ...options],
  env: process.env,
  returnOnExit: true,
});
const module = await WebAssembly.compile(await readFile(program));
process.exitCode = wasi.start(await WebAssembly.instantiate(module, wasi.getImportObject()));
