// Runs a program of wasm32-unknown-unknown on Node as a browser would: it may import nothing. A panic is
// a trap, which Node reports.
import { readFile } from "node:fs/promises";

const [program] = process.argv.slice(2);
const module = await WebAssembly.compile(await readFile(program));
const { exports } = await WebAssembly.instantiate(module, {});
process.exitCode = exports.main(0, 0);
if (process.exitCode !== 0) {
  console.error(`${program} ends with ${process.exitCode}`);
}
