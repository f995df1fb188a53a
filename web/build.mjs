// Makes the package of crates/gsb-web/npm and, in web/dist, the page: `node web/build.mjs`. Needs Rust with the target
// wasm32-unknown-unknown, and what `npm ci` installs here.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { compress } from "lzma1";
import { encode } from "./src/z85.js";

const web = import.meta.dirname;
const root = join(web, "..");
const npm = join(root, "crates/gsb-web/npm");
const dist = join(web, "dist");
const targetFolder = process.env.CARGO_TARGET_DIR ?? join(root, "target");
const { students, more } = JSON.parse(readFileSync(join(web, "models/models.json")));
const fileOf = ({ file }) => join(web, "models", file);
const modelFiles = students.map(fileOf);

function cargo(options, environment = {}) {
  const env = { ...process.env, CARGO_TARGET_DIR: targetFolder, ...environment };
  return execFileSync("cargo", options, { cwd: root, env, stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1 << 26 });
}

// The engine, for SIMD128 and without.
const scratch = mkdtempSync(join(tmpdir(), "gsb-web-"));
const glues = {};
for (const [name, flags] of [["simd", "-C target-feature=+simd128"], ["scalar", ""]]) {
  const target = "wasm32-unknown-unknown";
  cargo(["build", "--locked", "--profile", "web", "-p", "gsb-web", "--lib", "--target", target], { RUSTFLAGS: flags });
  const bindgen = ["run", "--quiet", "--locked", "--manifest-path", "web/bindgen/Cargo.toml", "--"];
  // A folder of its own: the tool is no part of the workspace, and its dependencies are others.
  const folder = { CARGO_TARGET_DIR: join(targetFolder, "bindgen") };
  cargo([...bindgen, join(targetFolder, target, "web/gsb_web.wasm"), join(scratch, name)], folder);
  copyFileSync(join(scratch, name, "gsb_web_bg.wasm"), join(npm, `${name}.wasm`));
  glues[name] = readFileSync(join(scratch, name, "gsb_web.js"), "utf8");
}
rmSync(scratch, { recursive: true });
if (glues.simd !== glues.scalar) throw new Error("the two builds need different JavaScript: they must have the same functions");
writeFileSync(join(npm, "gsb_web.js"), glues.simd);

// What the native program says.
const samples = join(web, "models/samples.json");
const example = ["run", "--quiet", "--release", "--locked", "-p", "gsb-web", "--example", "native", "--"];
const native = JSON.parse(cargo([...example, samples, ...modelFiles, "--more", ...more.map(fileOf)], { RAYON_NUM_THREADS: "1" }));
// Bits as text, which takes less than numbers do.
const text = (bits) => encode(new Uint8Array(Uint32Array.from(bits).buffer));
native.answers = native.answers.map((answers) => answers.map(text));
native.moved.flat().forEach((each) => (each.answers = each.answers.map(text)));
const moreAnswers = native.more.map((answers) => answers.map(text));
delete native.more;
native.deitSmall.logits = text(native.deitSmall.logits);
const data = { samples: JSON.parse(readFileSync(samples)), students: students.map(({ name }) => name), more: more.map(({ name, id }) => ({ name, id })), native };

async function bundled(entry, define) {
  const options = { entryPoints: [entry], bundle: true, minify: true, write: false, format: "iife", charset: "utf8", define };
  // The files of a package are found by their address, which a page of one file has no use for.
  const result = await build({ ...options, target: "es2022", logOverride: { "empty-import-meta": "silent" } });
  return result.outputFiles[0].text.trim();
}
const worker = await bundled(join(npm, "worker.js"), {});
const main = await bundled(join(web, "src/main.js"), { WORKER: JSON.stringify(worker), DATA: JSON.stringify(data) });
const style = (await build({ entryPoints: [join(web, "src/style.css")], minify: true, write: false })).outputFiles[0].text.trim();

rmSync(dist, { recursive: true, force: true });
mkdirSync(dist, { recursive: true });
const page = readFileSync(join(web, "src/index.html"), "utf8")
  .replace("/* style.css */", () => style)
  .replace("/* main.js */", () => main.replaceAll("</script", "<\\/script"));
writeFileSync(join(dist, "index.html"), page);

// Scripts, as a page of a file may load nothing else. Compressed here, since a file is not on its way.
function writeScript(script, name, files, more = {}) {
  const parts = files.map((file) => readFileSync(file));
  const packed = { sizes: parts.map((part) => part.length), text: encode(compress(Buffer.concat(parts), 9)), ...more };
  writeFileSync(join(dist, script), `globalThis.${name}=${JSON.stringify(packed)};\n`);
}
writeScript("modern.js", "gsbModern", [join(npm, "simd.wasm"), ...modelFiles]);
writeScript("fallback.js", "gsbFallback", [join(npm, "scalar.wasm"), ...modelFiles]);
const expected = JSON.parse(readFileSync(join(web, "models/teacher.json")));
writeScript("teacher.js", "gsbTeacher", [join(web, "models/teacher.safetensors")], { expected });
for (const [index, student] of more.entries()) {
  writeScript(`${student.id}.js`, `gsb_${student.id}`, [fileOf(student)], { expected: moreAnswers[index] });
}
copyFileSync(join(web, "src/offline.js"), join(dist, "offline.js"));

const size = (name) => readFileSync(join(dist, name)).length;
const loaded = size("index.html") + size("modern.js");
console.log(`web/dist/index.html: ${loaded} bytes with engine and models; ${size("fallback.js")} more where there is no SIMD128, ${size("teacher.js")} for the float teacher${more.map(({ name, id }) => `, ${size(`${id}.js`)} for the student of ${name}`).join("")}`);
