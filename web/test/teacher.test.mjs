// The float teacher in JavaScript, against the native program.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Teacher } from "../src/teacher.js";

const models = join(import.meta.dirname, "../models");
const json = (name) => JSON.parse(readFileSync(join(models, name)));
const samples = json("samples.json");
const expected = json("teacher.json");

const packed = readFileSync(join(models, "gsb-digits.packed"));
const header = JSON.parse(packed.subarray(8, 8 + Number(packed.readBigUInt64LE())));
const preprocessing = JSON.parse(header.__metadata__.preprocessing);

/** How far the logits of a teacher are from those of the native program. */
function furthest(teacher, of = samples) {
  const distances = of.flatMap(({ pixels }, at) =>
    Array.from(teacher.logits(pixels, preprocessing), (logit, index) => Math.abs(logit - expected.logits[at][index])),
  );
  return Math.max(...distances);
}

const teacher = () => new Teacher(new Uint8Array(readFileSync(join(models, "teacher.safetensors"))));

test("logits are those of the native program, but for the rounding of floats", () => {
  const found = furthest(teacher());
  console.log(`logits within ${found} of the native program\'s; rounding may change them by ${expected.rounding}`);
  assert.ok(found <= expected.rounding, `${found} above ${expected.rounding}`);
});

test("a weight of each layer is seen", () => {
  for (const name of teacher().tensors.keys()) {
    const changed = teacher();
    const values = changed.tensors.get(name);
    const largest = values.reduce((best, value, at) => (Math.abs(value) > Math.abs(values[best]) ? at : best), 0);
    values[largest] *= -1;
    const found = furthest(changed, samples.slice(0, 2));
    // A bias of keys changes all scores of a query alike: the softmax does not see it.
    if (name.endsWith("qkv.bias") && largest >= 64 && largest < 128) assert.ok(found <= expected.rounding);
    else assert.ok(found > expected.rounding, `${name}[${largest}]: ${found}`);
  }
});
