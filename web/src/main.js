import { Answers, percent } from "./answers.js";
import { AttentionView } from "./attention.js";
import { isModern, models, options, PackedModel, studentFile, teacherFile } from "./engine.js";
import { isInk, ofPicture, ofStrokes } from "./ink.js";
import { fillLayers } from "./layers.js";
import { Pad } from "./pad.js";
import { canvasOf, drawPicture, drawWeights } from "./paint.js";
import { decode, grayOf, shrunk, transformed } from "./picture.js";
import { Teacher } from "./teacher.js";
import { decode as bytesOf } from "./z85.js";
import { hasSimd, LARGEST_FILE, Prediction, TRAINED_THRESHOLDS } from "../../crates/gsb-web/npm/index.js";

// What the native program says of the samples, from when the page was made.
const { samples, students: names, more, native } = DATA;

const element = new Proxy({}, { get: (_, id) => document.getElementById(id) });
const students = [];
/** What is looked at: strokes, a picture, or pixels of the models' size. */
let source = null;
let chosen;
let predicting;
let again = false;
/** How many things were to be looked at, and which of them is: one that takes long to decode may come too late. */
let [turns, current] = [0, 0];

function complain(error) {
  const [place, text, close] = [document.createElement("div"), document.createElement("span"), document.createElement("button")];
  place.className = "error";
  text.textContent = error?.message ?? String(error);
  close.type = "button";
  close.textContent = "Close";
  close.onclick = () => place.remove();
  place.append(text, close);
  element.errors.replaceChildren(place);
  place.scrollIntoView?.({ block: "nearest" });
}

/** An action whose failure is shown. */
function safely(action) {
  return async (...given) => {
    try {
      return await action(...given);
    } catch (error) {
      complain(error);
    }
  };
}

/** What a student sees of the source. */
function pixelsFor({ model: { description } }) {
  if (!source) return null;
  const { config, preprocessing } = description;
  const key = [config.image_size, config.channels, preprocessing.resize, preprocessing.interpolation].join();
  // Kept, as thresholds move more often than pictures change, and students may see the same.
  source.seen ??= new Map();
  if (!source.seen.has(key)) source.seen.set(key, computedFor(description));
  return source.seen.get(key);
}

/** The same, computed: of a large picture, that takes a while. */
function computedFor(description) {
  const { config } = description;
  const size = config.image_size;
  if (source.pixels?.length === size * size * config.channels) return source.pixels;
  if (isInk(config)) return source.strokes ? ofStrokes(source.strokes, size) : ofPicture(source.gray, size);
  return transformed(source.image ?? pad.image(), description);
}

/** Predicts the source with all students; once more if it changes meanwhile. Ends when what is shown is of the source. */
function predict() {
  again = true;
  predicting ??= predictSource().finally(() => (predicting = undefined));
  return predicting;
}

const predictSource = safely(async () => {
  while (again) {
    again = false;
    const asked = [...students];
    const answers = await Promise.allSettled(asked.map(predictOne));
    // One that was closed meanwhile has nothing to say.
    const failed = answers.find(({ status }, index) => status === "rejected" && students.includes(asked[index]));
    if (failed) complain(failed.reason);
    askTeacher();
  }
});

async function predictOne(student) {
  const pixels = pixelsFor(student);
  const trained = pixels && (await student.model.predict(pixels));
  // Predicted last, so that attention is asked of it.
  const { thresholds } = attention;
  const moved = pixels && areMoved(student, thresholds) && (await student.model.predict(pixels, { thresholds }));
  if (!students.includes(student)) return;
  const prediction = moved || trained;
  answers.show(student, prediction, moved ? trained : null);
  if (student !== chosen) return;
  const picture = pixels && canvasOf(pixels, student.model.description.config);
  drawPicture(element.seen, picture);
  const { image_size: size } = student.model.description.config;
  element["seen-caption"].textContent = `what it sees: ${size} x ${size}`;
  const best = prediction?.top(1)[0];
  const which = moved ? " at moved thresholds" : "";
  element.spoken.textContent = best ? `${student.name} says ${best.name}, ${percent(best.probability)}${which}` : "";
  // Not awaited: a prediction does not wait for all heads.
  attention.show(picture);
}

/** Whether thresholds of groups that a student has are not the trained ones. */
function areMoved({ model }, thresholds) {
  const { attention_groups: groups, attention_bits: bits } = model.description.config;
  const own = thresholds.slice(0, bits ? 0 : groups);
  return own.some((value, group) => value !== TRAINED_THRESHOLDS[group]);
}

/** Looks at something else, asked for now or at an earlier turn. */
function look(next, turn = ++turns) {
  [source, current] = [next, turn];
  for (const button of element.samples.children) button.setAttribute("aria-pressed", String(button.sample === next?.sample && Boolean(next)));
  return predict();
}

const answers = new Answers(element.answers);
const attention = new AttentionView(element, predict, complain);
const pad = new Pad(element.pad, () => look(pad.strokes.length ? { strokes: pad.strokes } : null));

element.clear.onclick = () => {
  pad.clear();
  look(null);
};

const showPicture = safely(async (file) => {
  if (file.size > LARGEST_FILE) throw new Error(`a picture of ${file.size} bytes is refused, at most ${LARGEST_FILE} are opened`);
  const turn = ++turns;
  let image;
  try {
    image = await decode(file);
  } catch {
    throw new Error(`${file.name ?? "this"} is not a picture that this browser can decode`);
  }
  // Something newer is looked at by now.
  if (turn < current) return;
  const canvas = shrunk(image);
  pad.show(canvas);
  const small = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  await look({ image, gray: grayOf(small) }, turn);
});

function picked(input, action) {
  input.onchange = async () => {
    const [file] = input.files;
    if (file) await action(file);
    // The same file once more is a change too.
    input.value = "";
  };
}
picked(element.upload, showPicture);

// Dropped or pasted: a picture, or a packed file.
const isPacked = (file) => /\.(safetensors|packed)$/i.test(file.name);
for (const type of ["dragenter", "dragover"]) {
  addEventListener(type, (event) => {
    event.preventDefault();
    element.pad.classList.add("over");
  });
}
for (const type of ["dragleave", "drop"]) addEventListener(type, () => element.pad.classList.remove("over"));
addEventListener("drop", (event) => {
  event.preventDefault();
  const [file] = event.dataTransfer.files;
  if (file) (isPacked(file) ? openFile : showPicture)(file);
});
addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files ?? [];
  if (file) showPicture(file);
});

// The camera.
let stream;
function stopCamera() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = undefined;
  element["camera-view"].hidden = true;
}
element.camera.onclick = safely(async () => {
  if (!navigator.mediaDevices) throw new Error("this browser gives a page of this address no camera");
  stopCamera();
  // A second stream would take the place of one that nothing stops any more.
  element.camera.disabled = true;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    throw new Error(`no camera: ${error.message}`);
  } finally {
    element.camera.disabled = false;
  }
  element.video.srcObject = stream;
  element["camera-view"].hidden = false;
  await element.video.play();
});
element.take.onclick = safely(async () => {
  const frame = await createImageBitmap(element.video);
  stopCamera();
  await showPicture(frame);
});
element.stop.onclick = stopCamera;

// Students.
function add(name, model, file, closed) {
  const { bytes, config } = model.description;
  const { attention_groups: groups, attention_bits: bits } = config;
  const counted = groups === 1 ? "one group" : `${groups} groups`;
  const about = `${bits ? `levels of ${bits} bits` : counted}, ${bytes.toLocaleString("en")} bytes`;
  const student = { name, model, about, file };
  students.push(student);
  const close = () => {
    students.splice(students.indexOf(student), 1);
    model.close();
    fillStudents();
    choose(students[0]);
    closed?.();
  };
  answers.add(student, students.length > names.length ? close : undefined);
  fillStudents();
  return student;
}

function fillStudents() {
  element.student.replaceChildren(...students.map(({ name }, index) => new Option(name, index)));
}

/** The student whose attention, bits and layers are shown. */
function choose(student) {
  chosen = student;
  element.student.value = students.indexOf(student);
  const { description } = student.model;
  attention.set(student);
  const layers = description.layers.filter(({ weights }) => weights);
  element.weights.replaceChildren(...layers.map(({ name }) => new Option(name)));
  element.weights.value = layers[Math.min(1, layers.length - 1)].name;
  element["bits-title"].textContent = `The bits of ${student.name}`;
  element["layers-title"].textContent = `What the file of ${student.name} holds`;
  const { config } = description;
  element.file.textContent = `${description.bytes.toLocaleString("en")} bytes: ${config.depth} blocks of width ${config.width} with ${config.heads} heads, ${description.tokens} tokens, ${config.classes} classes.`;
  fillLayers(element.layers, description);
  showWeights();
  return predict();
}
element.student.onchange = () => choose(students[element.student.value]);

const showWeights = safely(async () => {
  const student = chosen;
  const name = element.weights.value;
  const weights = await student.model.weights(name);
  if (student !== chosen || name !== element.weights.value) return;
  drawWeights(element.bits, weights);
  const { rows, columns, bits, values } = weights;
  const plus = values.filter((value) => value > 0).length / values.length;
  const size = Math.ceil((values.length * bits) / 8).toLocaleString("en");
  element["bits-caption"].textContent =
    bits === 1
      ? `${rows} outputs (rows) of ${columns} inputs: ${values.length.toLocaleString("en")} signs in ${size} bytes; ${percent(plus)} are +1 (coloured)`
      : `${rows} outputs (rows) of ${columns} inputs: levels of ${bits} bits in ${size} bytes, the higher the more coloured`;
  element.bits.setAttribute("aria-label", `Weights of ${name}`);
});
element.weights.onchange = showWeights;

const openFile = safely(async (file) => {
  // It may have been dropped.
  if (element.open.disabled) throw new Error(`${file.name} can be opened once the page has started`);
  const student = add(file.name, await open(file, file.name), file);
  await choose(student);
});
async function open(file, name) {
  try {
    return await PackedModel.open(file, options());
  } catch (error) {
    throw new Error(`${name}: ${error.message}`);
  }
}
picked(element.open, openFile);

// Students of other data, which are fetched when they are asked for.
function fillMore() {
  const buttons = more.map((student) => {
    const button = document.createElement("button");
    button.type = "button";
    button.disabled = true;
    button.textContent = `Add the student of ${student.name}`;
    button.onclick = safely(async () => {
      button.disabled = true;
      try {
        const { bytes, expected } = await studentFile(student);
        const model = await open(bytes, student.name);
        let equal = 0;
        try {
          for (const [seed, logits] of expected.entries()) {
            const prediction = await model.predict(await model.randomPixels(seed));
            if (areEqual(prediction.logits, logits)) equal++;
          }
        } catch (error) {
          model.close();
          throw error;
        }
        const good = equal === expected.length;
        element["more-note"].textContent = `The student of ${student.name}: logits of ${equal} of ${expected.length} random pictures equal the native program's, bit for bit${good ? "" : "; the OTHERS DIFFER"}.`;
        button.hidden = true;
        await choose(add(student.name, model, bytes, () => {
          button.hidden = false;
          element["more-note"].textContent = "";
        }));
      } finally {
        button.disabled = false;
      }
    });
    return button;
  });
  element.more.replaceChildren(...buttons);
}

// The float teacher, which is fetched when it is asked for.
let teacher;
function askTeacher() {
  if (!teacher) return;
  const [student] = students;
  const pixels = pixelsFor(student);
  const { class_names: names, preprocessing } = student.model.description;
  answers.show(teacher, pixels && new Prediction(teacher.network.logits(pixels, preprocessing), names));
}
element.compare.onclick = safely(async () => {
  element.compare.disabled = true;
  try {
    const { bytes, expected } = await teacherFile();
    const { description } = students[0].model;
    const about = `floats, ${bytes.length.toLocaleString("en")} bytes`;
    teacher = { name: "Float teacher", model: { description }, network: new Teacher(bytes), about, times: Math.round(bytes.length / description.bytes) };
    answers.add(teacher);
    element.compare.hidden = true;
    askTeacher();
    await compare(expected);
  } finally {
    element.compare.disabled = false;
  }
});

/** Says how near the teacher's logits are to those that the native program computes of the samples. */
async function compare({ logits, rounding }) {
  let furthest = 0;
  for (const [at, { pixels }] of samples.entries()) {
    // The page stays alive meanwhile.
    await new Promise((resolve) => setTimeout(resolve));
    const found = teacher.network.logits(pixels, students[0].model.description.preprocessing);
    found.forEach((logit, index) => (furthest = Math.max(furthest, Math.abs(logit - logits[at][index]))));
  }
  const verdict = furthest <= rounding ? "as near as float rounding allows" : "FURTHER than float rounding allows";
  element["teacher-note"].textContent = `The teacher has ${teacher.times} times the bytes of a student. Its logits of ${samples.length} pictures are within 1e${Math.ceil(Math.log10(furthest))} of the native program's, ${verdict}.`;
}

// Measuring.
let line = "";
/** Measures a model, one at a time, and says what else is found of it. */
async function measured(name, opened, found = async () => "") {
  const buttons = [element.measure, element["measure-deit"]];
  for (const button of buttons) button.disabled = true;
  element.measured.textContent = `measuring ${name} …`;
  element.copy.hidden = true;
  try {
    const model = await opened();
    const bench = await model.bench(1500);
    const time = bench.median < 1 ? bench.median.toFixed(4) : bench.median.toFixed(2);
    const perSecond = Math.round(bench.perSecond).toLocaleString("en");
    const more = await found(model);
    line = `gsb ${name}: ${time} ms an image (least ${bench.least.toPrecision(3)}), ${perSecond} images/s, ${bench.instructions}, one thread, ${navigator.userAgent}`;
    element.measured.textContent = `${name}: ${time} ms an image, ${perSecond} images a second, ${bench.instructions}${more}`;
    element.copy.hidden = false;
  } catch (error) {
    element.measured.textContent = "";
    throw error;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}
element.simd.checked = isModern;
element.simd.disabled = !isModern;
element.measure.onclick = safely(async () => {
  const { name, file, model } = chosen;
  const simd = element.simd.checked;
  if (simd === isModern) return measured(name, async () => model);
  let other;
  try {
    await measured(name, async () => (other = await PackedModel.open(file, options(simd))));
  } finally {
    other?.close();
  }
});
element["measure-deit"].onclick = safely(async () => {
  let model;
  const made = async () => (model = await PackedModel.randomDeitSmall(options(element.simd.checked)));
  const proven = async () => {
    const { logits } = await model.predict(await model.randomPixels(2));
    const equal = areEqual(logits, native.deitSmall.logits);
    return `; its 1,000 logits are ${equal ? "" : "NOT "}those of the native program, bit for bit`;
  };
  try {
    await measured("DeiT-S, random weights", made, proven);
  } finally {
    model?.close();
  }
});
element.copy.onclick = safely(async () => {
  await navigator.clipboard.writeText(line);
  element.copy.textContent = "Copied";
  setTimeout(() => (element.copy.textContent = "Copy as one line"), 1500);
});

// The proof.
/** Whether logits have the bits that a text stands for. */
function areEqual(logits, text) {
  const bytes = new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength);
  const expected = bytesOf(text);
  return bytes.length === expected.length && bytes.every((value, index) => value === expected[index]);
}

async function prove() {
  let [equal, right] = [0, students.map(() => 0)];
  for (const [index, student] of students.slice(0, names.length).entries()) {
    for (const [at, { pixels, label }] of samples.entries()) {
      const prediction = await student.model.predict(Uint8Array.from(pixels));
      if (areEqual(prediction.logits, native.answers[index][at])) equal++;
      if (prediction.top(1)[0].class === label) right[index]++;
    }
  }
  const all = names.length * samples.length;
  const good = equal === all;
  element.proof.className = `badge ${good ? "good" : "bad"}`;
  element.proof.textContent = good
    ? `✓ logits of ${all} answers equal the native program's, bit for bit`
    : `✗ logits of ${all - equal} of ${all} answers differ from the native program's`;
  const rights = names.map((name, index) => `${name} ${right[index]} of ${samples.length} right`).join(", ");
  element.proof.title = `${samples.length} built-in pictures; the native program ran on ${native.processor} with ${native.instructions}; ${rights}`;
}

function fillSamples() {
  const buttons = samples.map((sample, index) => {
    const button = document.createElement("button");
    const picture = canvasOf(sample.pixels, { image_size: Math.sqrt(sample.pixels.length), channels: 1 });
    button.type = "button";
    button.sample = index;
    button.setAttribute("aria-label", `a ${sample.label}`);
    button.setAttribute("aria-pressed", "false");
    button.append(picture);
    button.onclick = () => {
      const copy = canvasOf(sample.pixels, { image_size: Math.sqrt(sample.pixels.length), channels: 1 });
      pad.show(copy);
      const pixels = Uint8Array.from(sample.pixels);
      const size = Math.sqrt(pixels.length);
      // Students of other sizes see it as a picture of a digit.
      look({ pixels, gray: { width: size, height: size, gray: pixels }, image: picture.getContext("2d").getImageData(0, 0, size, size), sample: index });
    };
    return button;
  });
  element.samples.replaceChildren(...buttons);
}

function showState() {
  const instructions = isModern ? "SIMD128" : hasSimd() ? "without SIMD128 (an older browser)" : "without SIMD128";
  element.engine.textContent = `${instructions}, ${navigator.onLine ? "no server" : "offline"}`;
}
addEventListener("online", showState);
addEventListener("offline", showState);

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  attention.redraw();
  showWeights();
});

async function start() {
  fillSamples();
  fillMore();
  showState();
  if (typeof WebAssembly === "undefined") throw new Error("this browser has no WebAssembly");
  const files = await models();
  const opened = await Promise.all(files.map((bytes, index) => open(bytes, names[index])));
  opened.forEach((model, index) => add(names[index], model, files[index]));
  await choose(students[0]);
  for (const control of [element.compare, element.measure, element["measure-deit"], element.open, ...element.more.children]) control.disabled = false;
  // Something to look at from the beginning; whoever has begun to draw, or to open a picture, keeps it.
  if (!turns) element.samples.children[6].click();
  await predict();
  document.documentElement.dataset.first = Math.round(performance.now());
  try {
    await prove();
  } finally {
    // The students have seen other pictures meanwhile, and attention is that of the last one.
    await predict();
  }
  document.documentElement.dataset.ready = Math.round(performance.now());
  // Served, the page is kept for when there is no network; of a file it is there anyway.
  if (location.protocol.startsWith("http") && "serviceWorker" in navigator) navigator.serviceWorker.register(isModern ? "offline.js" : "offline.js?fallback").catch(() => {});
}

safely(async () => {
  try {
    await start();
  } catch (error) {
    element.proof.className = "badge bad";
    element.proof.textContent = "✗ not compared with the native program";
    throw error;
  }
})();

// For the console of a browser, and for tests.
globalThis.gsb = { students, samples, native, areEqual, decode, transformed, open: (bytes, simd) => PackedModel.open(bytes, options(simd)) };
