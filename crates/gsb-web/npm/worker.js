// The engine in a worker: answers one question after another.
import { initSync, OpenModel, panicMessage } from "./gsb_web.js";

let model;
let description;
/** The picture that was predicted last, and by which thresholds. */
let predicted;
let followed = false;
/** Those that the engine has. */
let thresholds;

const calls = {
  start({ module }) {
    initSync({ module });
  },

  open({ bytes }) {
    model = new OpenModel(new Uint8Array(bytes));
    return describe();
  },

  random({ seed }) {
    model = OpenModel.randomDeitSmall(seed);
    return describe();
  },

  randomPixels({ seed }) {
    return model.randomPixels(seed);
  },

  predict(question) {
    decide(question.thresholds);
    const logits = model.predict(question.pixels);
    // Only now, since one that is refused leaves no trace.
    predicted = question;
    followed = false;
    return logits;
  },

  // All heads are followed at once, and only for a picture that is looked at.
  attention({ layer, head }) {
    if (predicted && !followed) {
      decide(predicted.thresholds);
      model.look(predicted.pixels);
      followed = true;
    }
    const attention = model.attention(layer, head);
    const { groups, elements, largest, scales, ofLevels } = attention;
    attention.free();
    return { tokens: largest.length, groups, elements, largest, scales, ofLevels };
  },

  weights({ layer }) {
    const weights = model.weights(layer);
    const { rows, columns, bits, values } = weights;
    weights.free();
    return { rows, columns, bits, values };
  },

  bench({ milliseconds }) {
    if (predicted) decide(predicted.thresholds);
    const picture = predicted?.pixels ?? model.randomPixels(2);
    const once = (repeats) => {
      const start = performance.now();
      for (let repeat = 0; repeat < repeats; repeat++) model.predict(picture);
      return performance.now() - start;
    };
    // A clock of a browser is coarse: as many pictures at once as take 5 ms.
    let repeats = 1;
    while (once(repeats) < 5) repeats *= 2;
    const times = [];
    const end = performance.now() + milliseconds;
    do times.push(once(repeats) / repeats);
    while (performance.now() < end || times.length < 5);
    times.sort((a, b) => a - b);
    const median = times[times.length >> 1];
    return {
      instructions: description.instructions,
      pictures: times.length * repeats,
      least: times[0],
      median,
      perSecond: 1000 / median,
    };
  },
};

/** Takes the thresholds of a question. */
function decide(asked) {
  if (asked.every((value, group) => value === thresholds?.[group])) return;
  model.setThresholds(...asked);
  thresholds = asked;
}

function describe() {
  description = JSON.parse(model.description());
  return description;
}

self.onmessage = ({ data: { id, call, question } }) => {
  try {
    self.postMessage({ id, answer: calls[call](question) });
  } catch (error) {
    // A trap leaves the memory as it was in the middle of something.
    const ended = !(error instanceof Error) || error instanceof WebAssembly.RuntimeError || error instanceof RangeError;
    self.postMessage({ id, ended, error: ended ? endOf(error) : error.message });
  }
};

function endOf(error) {
  let message;
  try {
    message = panicMessage();
  } catch {
    // Nothing can be asked of it any more.
  }
  return `the engine ended: ${message ?? (error?.message || "not enough memory")}`;
}
