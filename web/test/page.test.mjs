// The page in Chromium, from a file and from a server.
import assert from "node:assert/strict";
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { DIST, draw, FILE, launch, opened, says, serve } from "./browser.mjs";
import { STROKES } from "./strokes.mjs";

const MODELS = join(import.meta.dirname, "../models");
const FLOWER = join(import.meta.dirname, "../../examples/flower.jpg");

let browser;
let context;
let page;
let wrong;
const folder = mkdtempSync(join(tmpdir(), "gsb-page-"));

before(async () => {
  browser = await launch();
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  ({ page, wrong } = await opened(context, FILE));
});

after(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true });
});

async function saying(expected, student) {
  await page.waitForFunction(
    ([expected, student]) => document.querySelectorAll(".student .class")[student].textContent === expected,
    [String(expected), student ?? 0],
    { timeout: 15_000 },
  ).catch(async () => assert.fail(`the student says ${await says(page, student).textContent()}, not ${expected}`));
}

async function complaint(pattern) {
  await page.waitForSelector("#errors .error", { timeout: 30_000 });
  const text = await page.locator("#errors .error span").textContent();
  assert.match(text, pattern);
  assert.ok(await page.locator("#errors").isVisible());
  await page.getByRole("button", { name: "Close", exact: true }).click();
}

test("it is small, and its first prediction comes soon", async () => {
  const size = ["index.html", "modern.js"].reduce((sum, name) => sum + statSync(join(DIST, name)).size, 0);
  assert.ok(size <= 500_000, `${size} bytes`);
  const { first, ready } = await page.evaluate(() => ({ ...document.documentElement.dataset }));
  console.log(`page of ${size} bytes; first prediction after ${first} ms, everything compared after ${ready} ms`);
  // 1 s on an idle machine; a busy one is given more.
  assert.ok(Number(first) <= 10_000, `${first} ms`);
});

test("logits are those of the native program, bit for bit", async () => {
  assert.match(await page.locator("#proof").textContent(), /✓ logits of 40 answers equal/);
  // The comparison sees a single bit.
  const seen = await page.evaluate(async () => {
    const { students, samples, native, areEqual } = globalThis.gsb;
    const { logits } = await students[0].model.predict(Uint8Array.from(samples[3].pixels));
    const before = areEqual(logits, native.answers[0][3]);
    new Uint32Array(logits.buffer)[7] ^= 1;
    return [before, areEqual(logits, native.answers[0][3])];
  });
  assert.deepEqual(seen, [true, false]);
});

for (const digit of [0, 2, 3, 5, 7]) {
  test(`a drawn ${digit} is a ${digit}`, async () => {
    await draw(page, STROKES[digit]);
    await saying(digit, 0);
    await saying(digit, 1);
  });
}

test("a 1 is drawn with the keyboard", async () => {
  // The first stroke takes the place of a picture.
  await page.click("#samples button:nth-child(3)");
  await page.focus("#pad");
  await page.keyboard.press(" ");
  for (let step = 0; step < 18; step++) await page.keyboard.press("ArrowDown");
  await page.keyboard.press(" ");
  await saying(1);
  await page.keyboard.press("Backspace");
  await saying("–");
});

/** A photograph of a digit on paper in bad light, as JPEG. */
async function photograph(strokes) {
  const url = await page.evaluate((strokes) => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [900, 700];
    const context = canvas.getContext("2d");
    const light = context.createLinearGradient(0, 0, 900, 700);
    light.addColorStop(0, "#e9e2d2");
    light.addColorStop(1, "#b9b09c");
    context.fillStyle = light;
    context.fillRect(0, 0, 900, 700);
    for (let speck = 0; speck < 4000; speck++) {
      context.fillStyle = `rgb(0 0 0 / ${(speck % 7) / 60})`;
      context.fillRect((speck * 7919) % 900, (speck * 104729) % 700, 2, 2);
    }
    context.lineWidth = 34;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#1d2a55";
    for (const stroke of strokes) {
      context.beginPath();
      for (const [x, y] of stroke) context.lineTo(200 + 1.7 * x, 90 + 1.7 * y);
      context.stroke();
    }
    return canvas.toDataURL("image/jpeg", 0.8);
  }, strokes);
  return Buffer.from(url.split(",")[1], "base64");
}

for (const digit of [2, 3]) {
  test(`an uploaded photograph of a ${digit} is a ${digit}`, async () => {
    const buffer = await photograph(STROKES[digit]);
    await page.setInputFiles("#upload", { name: "photo.jpg", mimeType: "image/jpeg", buffer });
    await saying(digit);
  });
}

test("any photograph is looked at, and what is none is refused", async () => {
  await page.click("#clear");
  await saying("–");
  await page.setInputFiles("#upload", FLOWER);
  await page.waitForFunction(() => document.querySelector(".student .class").textContent !== "–");
  await page.setInputFiles("#upload", { name: "x.png", mimeType: "image/png", buffer: Buffer.from("no picture") });
  await complaint(/x\.png is not a picture/);
});

test("the camera takes a picture", async () => {
  await page.click("#clear");
  await saying("–");
  await page.click("#camera");
  await page.waitForFunction(() => document.getElementById("video").videoWidth > 0);
  await page.click("#take");
  await page.waitForFunction(() => document.querySelector(".student .class").textContent !== "–");
  assert.ok(!(await page.locator("#camera-view").isVisible()));
});

test("pictures are resized and cropped as in evaluation, to the byte", async () => {
  const golden = join(import.meta.dirname, "../../tests/golden");
  for (const [file, source, name, size, resize] of [
    ["h_preproc0", "h_img0.png", "s224/out", 224, 256],
    ["h_preproc0", "h_img0.png", "s64/out", 64, 73],
    ["h_preproc1", "h_img1.png", "s224/crop_u8", 224, 256],
    ["h_preproc_cifar32", "h_img_cifar.png", "s32/out", 32, null],
  ]) {
    const bytes = readFileSync(join(golden, `${file}.safetensors`));
    const start = 8 + Number(bytes.readBigUInt64LE());
    const [from, to] = JSON.parse(bytes.subarray(8, start))[name].data_offsets;
    const tensor = new Uint8Array(bytes.subarray(start + from, start + to));
    const normalized = name.endsWith("/out") && new Float32Array(tensor.buffer);
    const [mean, deviation] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
    const byte = (at) => {
      const value = normalized[(at % 3) * size * size + Math.floor(at / 3)];
      return Math.round((value * deviation[at % 3] + mean[at % 3]) * 255);
    };
    const encoded = readFileSync(join(golden, source)).toString("base64");
    const found = await page.evaluate(async ([encoded, size, resize]) => {
      const { decode, transformed } = globalThis.gsb;
      const image = await decode(new Blob([Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0))]));
      return Array.from(transformed(image, { config: { image_size: size, channels: 3 }, preprocessing: { resize } }));
    }, [encoded, size, resize]);
    const off = found.filter((value, at) => value !== (normalized ? byte(at) : tensor[at]));
    assert.equal(found.length, 3 * size * size);
    assert.equal(off.length, 0, `${source} to ${size}: ${off.length} of ${found.length} bytes differ`);
  }
});

const image = (id) => page.evaluate((id) => document.getElementById(id).toDataURL(), id);

async function changes(id, action) {
  const before = await image(id);
  await action();
  await page.waitForFunction(([id, before]) => document.getElementById(id).toDataURL() !== before, [id, before], { timeout: 15_000 });
}

test("attention changes with the head, the layer, the query and the student", async () => {
  await page.locator("#samples button").nth(4).click();
  await page.waitForFunction(() => document.querySelector("#samples button:nth-child(5)").getAttribute("aria-pressed") === "true" && document.querySelector("#matrix").ariaLabel !== "No picture yet");
  await changes("matrix", () => page.selectOption("#head", "1"));
  await changes("matrix", () => page.selectOption("#layer", "0"));
  await changes("overlay", () => page.selectOption("#query", "9"));
  await changes("matrix", () => page.getByRole("button", { name: "layer 3, head 2" }).click());
  assert.equal(await page.locator("#layer").inputValue(), "3");
  // A click on a patch asks for it.
  await changes("overlay", () => page.locator("#overlay").click({ position: { x: 5, y: 5 } }));
  assert.equal(await page.locator("#query").inputValue(), "2");
  await changes("matrix", () => page.selectOption("#student", "1"));
  assert.equal(await page.locator(".threshold:visible").count(), 1);
  await page.selectOption("#student", "0");
});

const bars = () => page.locator(".student").first().locator(".bars .value").allTextContents();

async function probabilitiesChange(action) {
  const before = await bars();
  await action();
  await page.waitForFunction((before) => {
    const values = [...document.querySelectorAll(".student")][0].querySelectorAll(".bars .value");
    return [...values].some((value, index) => value.textContent !== before[index]);
  }, before, { timeout: 15_000 });
}

test("the prediction follows the thresholds, and goes back to the trained ones", async () => {
  const trained = await bars();
  const note = page.locator(".student .trained").first();
  assert.ok(!(await note.isVisible()));
  await probabilitiesChange(() => changes("matrix", () => page.locator("#threshold-second").fill("0.1")));
  assert.match(await note.textContent(), /^thresholds moved; as trained: \d, [\d.]+ %$/);
  assert.ok(await note.isVisible());
  // A student of one group has no second threshold.
  assert.ok(!(await page.locator(".student .trained").nth(1).isVisible()));
  await page.locator("#threshold-first").fill("1.2");
  await page.waitForFunction(() => !document.querySelectorAll(".student .trained")[1].hidden);
  await changes("matrix", () => page.click("#trained"));
  await page.waitForFunction(() => [...document.querySelectorAll(".student .trained")].every((note) => note.hidden));
  assert.deepEqual(await bars(), trained);
});

test("logits at moved thresholds are the native program's, bit for bit", async () => {
  const [equal, all, same] = await page.evaluate(async () => {
    const { students, samples, native, areEqual } = globalThis.gsb;
    let [equal, all, same] = [0, 0, 0];
    for (const [index, { model }] of students.entries()) {
      for (const { thresholds, answers } of native.moved[index]) {
        for (const [at, answer] of answers.entries()) {
          const { pixels } = samples[(samples.length / answers.length) * at];
          const { logits } = await model.predict(Uint8Array.from(pixels), { thresholds });
          const trained = await model.predict(Uint8Array.from(pixels));
          all++;
          equal += areEqual(logits, answer);
          same += logits.every((logit, at) => logit === trained.logits[at]);
        }
      }
    }
    return [equal, all, same];
  });
  assert.equal(all, 16);
  assert.equal(equal, all);
  assert.equal(same, 0);
});

test("impossible thresholds are refused with the reason", async () => {
  const reasons = await page.evaluate(() => {
    const { students, samples } = globalThis.gsb;
    const pixels = Uint8Array.from(samples[0].pixels);
    const reason = (thresholds) => students[0].model.predict(pixels, { thresholds }).catch((error) => error.message);
    return Promise.all([reason([0.5, 1.5, 0.9]), reason([0.5, 0.7])]);
  });
  assert.match(reasons[0], /1\.5 for the second group, expected a number from 0\.001 to 1/);
  assert.match(reasons[1], /expected a threshold for each of three groups/);
});

test("a prediction that is refused leaves attention as it was", async () => {
  const [reason, same, others] = await page.evaluate(async () => {
    const { students, samples } = globalThis.gsb;
    const { model } = students[0];
    const pixels = Uint8Array.from(samples[11].pixels);
    const thresholds = [0.9, 0.4, 0.6];
    await model.predict(pixels);
    const { groups } = await model.attention(3, 0);
    const equal = async () => (await model.attention(3, 0)).groups.every((value, index) => value === groups[index]);
    await model.predict(pixels);
    const reason = await model.predict(new Uint8Array(9), { thresholds }).catch((error) => error.message);
    const same = await equal();
    await model.predict(pixels, { thresholds });
    return [reason, same, await equal()];
  });
  assert.match(reason, /an image of 9 values, expected 64/);
  assert.ok(same);
  assert.ok(!others);
});

test("groups at given thresholds are the engine's, of all layers and heads", async () => {
  const [same, members] = await page.evaluate(async () => {
    const { students, samples } = globalThis.gsb;
    let [same, members] = [true, [0, 0, 0]];
    for (const { model } of students) {
      const { depth, heads } = model.description.config;
      for (const thresholds of [[0.5, 0.7, 0.9], [0.9, 0.4, 0.6]]) {
        await model.predict(Uint8Array.from(samples[11].pixels), { thresholds });
        for (let layer = 0; layer < depth; layer++) {
          for (let head = 0; head < heads; head++) {
            const attention = await model.attention(layer, head);
            const groups = attention.groupsAt(thresholds);
            same &&= groups.every((value, index) => value === attention.groups[index]);
            members = members.map((count, group) => count + groups.filter((value) => (value >> group) & 1).length);
          }
        }
      }
    }
    return [same, members];
  });
  assert.ok(same);
  assert.ok(members.every((count) => count > 0), `${members}`);
});

// The file is that of a random network: 8 x 8 pixels, 3 classes, 2 layers of 2 heads.
test("a model with levels in place of groups says so, and no thresholds move it", async () => {
  await page.setInputFiles("#open", join(import.meta.dirname, "levels.packed"));
  await page.getByRole("heading", { name: "levels.packed", exact: true }).waitFor();
  const [same, members, reason] = await page.evaluate(async () => {
    const { students, samples } = globalThis.gsb;
    const { model } = students.at(-1);
    const pixels = Uint8Array.from(samples[11].pixels);
    await model.predict(pixels);
    let [same, members] = [true, [0, 0, 0]];
    for (const [layer, head] of [[0, 0], [0, 1], [1, 0], [1, 1]]) {
      const attention = await model.attention(layer, head);
      const groups = attention.groupsAt([0.5, 0.7, 0.9]);
      same &&= attention.ofLevels && groups.every((value, index) => value === attention.groups[index]);
      members = members.map((count, group) => count + groups.filter((value) => (value >> group) & 1).length);
    }
    const reason = await model.predict(pixels, { thresholds: [0.5, 0.7, 0.8] }).catch((error) => error.message);
    return [same, members, reason];
  });
  assert.ok(same);
  assert.ok(members.every((count) => count > 0), `${members}`);
  assert.match(reason, /levels of 2 bits take the place of groups/);
  await page.getByRole("button", { name: "Close levels.packed" }).click();
});

test("the weights of every layer are shown", async () => {
  for (const name of await page.locator("#weights option").allTextContents()) {
    await page.selectOption("#weights", name);
    await page.waitForFunction((name) => document.getElementById("bits").getAttribute("aria-label").endsWith(name), name);
    const [width, height] = await page.evaluate(() => [document.getElementById("bits").width, document.getElementById("bits").height]);
    assert.match(await page.locator("#bits-caption").textContent(), new RegExp(`^${height} outputs \\(rows\\) of ${width} inputs`));
  }
  assert.match(await page.locator("#layers tfoot").textContent(), /^total90,976/);
});

test("what is measured can be copied", async () => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("#measure");
  await page.waitForSelector("#copy:not([hidden])", { timeout: 60_000 });
  assert.match(await page.locator("#measured").textContent(), /^GSB: [\d.]+ ms an image, [\d,]+ images a second, simd128$/);
  await page.click("#copy");
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const line = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(line, /^gsb GSB: .* simd128, one thread, Mozilla/);
});

test("the engine without SIMD128 gives the same bits", async () => {
  const same = await page.evaluate(async () => {
    const { students, samples, native, areEqual, open } = globalThis.gsb;
    const model = await open(students[0].file, false);
    const logits = [];
    for (const { pixels } of samples) logits.push((await model.predict(Uint8Array.from(pixels))).logits);
    const { instructions } = model.description;
    model.close();
    return [instructions, logits.every((each, index) => areEqual(each, native.answers[0][index]))];
  });
  assert.deepEqual(same, ["scalar", true]);
});

test("files that are broken, too large or of something else are refused with the reason", async () => {
  const sound = readFileSync(join(MODELS, "gsb-digits.packed"));
  const damaged = Buffer.from(sound);
  damaged[60_000] ^= 1;
  const files = [
    ["damaged.safetensors", damaged, /damaged\.safetensors: damaged: its contents do not match its checksum/],
    ["half.safetensors", sound.subarray(0, sound.length / 2), /half\.safetensors: /],
    ["empty.safetensors", Buffer.alloc(0), /not a safetensors file/],
    ["photo.safetensors", readFileSync(FLOWER), /not a safetensors file/],
  ];
  for (const [name, buffer, reason] of files) {
    await page.setInputFiles("#open", { name, mimeType: "application/octet-stream", buffer });
    await complaint(reason);
  }
  const large = join(folder, "large.safetensors");
  const file = openSync(large, "w");
  ftruncateSync(file, 200_000_001);
  closeSync(file);
  await page.setInputFiles("#open", large);
  await complaint(/large\.safetensors: a file of 200000001 bytes is refused, at most 200000000 are opened/);
  const reason = await page.evaluate(() => globalThis.gsb.students[0].model.predict(new Uint8Array(9)).catch((error) => error.message));
  assert.match(reason, /an image of 9 values, expected 64/);
  // And everything goes on.
  await draw(page, STROKES[2]);
  await saying(2);
});

test("a file that is opened stands beside the others, and can be closed", async () => {
  const copy = join(folder, "mine.safetensors");
  writeFileSync(copy, readFileSync(join(MODELS, "plain-digits.packed")));
  await page.setInputFiles("#open", copy);
  await page.getByRole("heading", { name: "mine.safetensors", exact: true }).waitFor();
  await draw(page, STROKES[3]);
  await saying(3, 2);
  await page.getByRole("button", { name: "Close mine.safetensors" }).click();
  assert.equal(await page.locator(".student").count(), 2);
});

test("the float teacher stands beside the students once it is asked for", async () => {
  assert.equal(await page.evaluate(() => typeof globalThis.gsbTeacher), "undefined");
  await page.click("#compare");
  await page.getByRole("heading", { name: "Float teacher" }).waitFor();
  await draw(page, STROKES[3]);
  await saying(3, 2);
  assert.equal(await page.locator(".student .about").nth(2).textContent(), "floats, 814,296 bytes");
  await page.waitForFunction(() => document.getElementById("teacher-note").textContent, null, { timeout: 60_000 });
  const note = await page.locator("#teacher-note").textContent();
  assert.match(note, /^The teacher has 9 times the bytes .* of 20 pictures are within 1e-\d of .* as near as float rounding allows\.$/);
  await page.click("#clear");
  await saying("–", 2);
});

test("the student of MNIST is fetched once it is asked for, equals the native program and reads what is drawn", async () => {
  assert.equal(await page.evaluate(() => typeof globalThis.gsb_mnist), "undefined");
  await page.getByRole("button", { name: "Add the student of MNIST" }).click();
  await page.getByRole("heading", { name: "MNIST", exact: true }).waitFor();
  assert.match(await page.locator("#more-note").textContent(), /^The student of MNIST: logits of 20 of 20 random pictures equal/);
  // After the two students of the digits and their teacher.
  for (const digit of [0, 2, 3, 7]) {
    await draw(page, STROKES[digit]);
    await saying(digit, 3);
  }
  assert.equal(await page.locator("#seen-caption").textContent(), "what it sees: 28 x 28");
  // A sample of the digits is a picture to it.
  await page.click("#clear");
  await saying("–", 3);
  await page.locator("#samples button").first().click();
  await page.waitForFunction(() => document.querySelectorAll(".student .class")[3].textContent !== "–");
  await page.getByRole("button", { name: "Close MNIST" }).click();
  assert.equal(await page.locator(".student").count(), 3);
  assert.ok(await page.getByRole("button", { name: "Add the student of MNIST" }).isVisible());
});

test("the student of photographs equals the native program and takes a photograph", async () => {
  await page.getByRole("button", { name: "Add the student of Flowers" }).click();
  await page.getByRole("heading", { name: "Flowers", exact: true }).waitFor({ timeout: 120_000 });
  assert.match(await page.locator("#more-note").textContent(), /^The student of Flowers: logits of 20 of 20 random pictures equal/);
  await page.setInputFiles("#upload", FLOWER);
  // What the native program says of it, too: an orange dahlia is none of the twelve.
  await saying("tigerlily", 3);
  assert.equal(await page.locator("#seen-caption").textContent(), "what it sees: 112 x 112");
  await page.getByRole("button", { name: "Close Flowers" }).click();
  assert.equal(await page.locator(".student").count(), 3);
  await page.click("#clear");
});

test("mutated files are refused by a message or opened, and never end the worker", async () => {
  const [opened, refused, traps] = await page.evaluate(async () => {
    const { students, open } = globalThis.gsb;
    const sound = students[1].file;
    const header = 8 + new DataView(sound.buffer, sound.byteOffset).getUint32(0, true);
    let [state, opened, refused] = [1, 0, 0];
    const traps = [];
    const random = (below) => (state = (state * 48271) % 2147483647) % below;
    for (let round = 0; round < 400; round++) {
      const bytes = sound.slice(0, round % 7 === 6 ? random(sound.length) : sound.length);
      // Mostly the header, whose contents no checksum guards from being read.
      const within = round % 3 === 2 ? bytes.length : Math.min(header, bytes.length);
      for (let change = 0; change <= random(4) && within > 0; change++) bytes[random(within)] = random(256);
      let model;
      try {
        model = await open(bytes);
        await model.predict(await model.randomPixels(round));
        opened++;
      } catch (error) {
        refused++;
        if (!error.message || /engine ended|unreachable|trap|memory access|RuntimeError|panicked/.test(`${error.name}: ${error.message}`)) traps.push(error.message);
      } finally {
        model?.close();
      }
    }
    return [opened, refused, traps];
  });
  console.log(`mutated files: ${opened} opened, ${refused} refused`);
  assert.deepEqual(traps, []);
  assert.ok(refused > 300, `${refused}`);
  await draw(page, STROKES[2]);
  await saying(2);
});

test("every control has a name, and a narrow page does not scroll sideways", async () => {
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll("button, select, input, canvas[tabindex], canvas[role]")]
      .filter((each) => !(each.getAttribute("aria-label") || each.textContent.trim() || each.labels?.[0]?.textContent.trim()))
      .map((each) => each.outerHTML),
  );
  assert.deepEqual(unnamed, []);
  await page.setViewportSize({ width: 360, height: 740 });
  const [wide, shown] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  await page.setViewportSize({ width: 1280, height: 900 });
  assert.ok(wide <= shown, `${wide} pixels in ${shown}`);
});

test("a DeiT-S runs, to the bit as natively", async () => {
  for (const simd of [true, false]) {
    await page.setChecked("#simd", simd);
    await page.click("#measure-deit");
    await page.waitForFunction(() => /bit for bit/.test(document.getElementById("measured").textContent), null, { timeout: 180_000 });
    const text = await page.locator("#measured").textContent();
    assert.match(text, new RegExp(`ms an image, .* ${simd ? "simd128" : "scalar"}; its 1,000 logits are those of`));
    const milliseconds = Number(/([\d.]+) ms/.exec(text)[1]);
    const native = await page.evaluate(() => globalThis.gsb.native);
    const ratio = (milliseconds / native.deitSmall.median).toFixed(2);
    console.log(`DeiT-S: ${milliseconds} ms ${simd ? "with" : "without"} SIMD128, ${ratio} times the ${native.deitSmall.median.toFixed(1)} ms with ${native.instructions}`);
  }
  await page.setChecked("#simd", true);
});

test("nothing went wrong unseen", () => assert.deepEqual(wrong, []));

test("served, it works offline, even when it is loaded again", async () => {
  const { address, end } = await serve();
  const served = await browser.newContext();
  const requests = [];
  served.on("request", (request) => requests.push(request.url()));
  const { page } = await opened(served, address);
  await page.evaluate(() => navigator.serviceWorker.ready);
  // Through the worker that keeps it.
  await page.waitForFunction(() => navigator.serviceWorker.controller);
  await page.click("#compare");
  await page.getByRole("heading", { name: "Float teacher" }).waitFor();
  await served.setOffline(true);
  end();
  await draw(page, STROKES[5]);
  await page.waitForFunction(() => document.querySelector(".student .class").textContent === "5");
  await page.waitForFunction(() => document.getElementById("engine").textContent.endsWith("offline"));
  await page.reload();
  await page.waitForSelector("html[data-ready]", { timeout: 60_000 });
  await draw(page, STROKES[7]);
  await page.waitForFunction(() => document.querySelector(".student .class").textContent === "7");
  await page.click("#compare");
  await page.waitForFunction(() => document.querySelectorAll(".student .class")[2]?.textContent === "7");
  assert.deepEqual(requests.filter((url) => !url.startsWith(address) && !/^(blob|data):/.test(url)), []);
  await served.close();
});
