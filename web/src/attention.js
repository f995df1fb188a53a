// The attention of a student: layers, heads, queries, groups and their thresholds.
import { TRAINED_THRESHOLDS } from "../../crates/gsb-web/npm/index.js";
import { drawMatrix, drawOverlay, drawPicture } from "./paint.js";

const GROUPS = [
  ["first", "first group: above", "of its scale", 2],
  ["second", "second group: above", "of the largest", 1],
  ["third", "third group: above", "of the largest", 1],
];

export class AttentionView {
  #student;
  #picture;
  #attention;
  /** Those that the network decides by. */
  thresholds = [...TRAINED_THRESHOLDS];
  #heads = [];
  #version = 0;

  /** With what is done when thresholds were moved, which has to `show` what follows, and when something failed. */
  constructor(element, moved, failed) {
    this.element = element;
    this.moved = moved;
    this.failed = failed;
    for (const name of ["layer", "head"]) element[name].onchange = () => this.#ask();
    element.query.onchange = () => this.redraw();
    element.overlay.onclick = (event) => this.#click(event);
    element.thresholds.replaceChildren(...GROUPS.map((group, index) => this.#slider(group, index)));
    element.trained.onclick = () => {
      this.thresholds = [...TRAINED_THRESHOLDS];
      this.#labels();
      this.moved();
    };
  }

  /** Another student. */
  set(student) {
    this.#student = student;
    this.#attention = undefined;
    // What the one before still answers, or that it was closed, is of no interest.
    this.#version++;
    const { config, learned_tokens: learned } = student.model.description;
    const patches = config.image_size / config.patch_size;
    fill(this.element.layer, numbers(config.depth), config.depth - 1);
    fill(this.element.head, numbers(config.heads), 0);
    const names = ["class token", "distillation token"].slice(0, learned);
    for (let patch = 0; patch < patches * patches; patch++) {
      names.push(`patch in row ${Math.floor(patch / patches) + 1}, column ${(patch % patches) + 1}`);
    }
    fill(this.element.query, names, 0);
    this.#grid(config);
  }

  /** Another picture, that the student has predicted. */
  show(picture) {
    this.#picture = picture;
    if (!picture) this.#attention = undefined;
    return this.#ask();
  }

  redraw() {
    this.#draw();
    this.#drawHeads();
  }

  async #ask() {
    const version = ++this.#version;
    const { layer, head } = this.element;
    this.#mark();
    if (!this.#picture) {
      this.#heads.forEach((place) => (place.attention = undefined));
      return this.redraw();
    }
    const student = this.#student;
    try {
      const attention = await student.model.attention(Number(layer.value), Number(head.value));
      if (version !== this.#version) return;
      this.#attention = attention;
      this.#draw();
      // One after another: what is asked for meanwhile comes between.
      for (const place of this.#heads) {
        const found = await student.model.attention(place.layer, place.head);
        if (version !== this.#version) return;
        place.attention = found;
        this.#drawHead(place);
      }
    } catch (error) {
      if (version === this.#version) this.failed(error);
    }
  }

  #draw() {
    const { overlay, matrix, query } = this.element;
    this.#labels();
    if (!this.#attention) {
      drawPicture(overlay, this.#picture);
      matrix.getContext("2d").clearRect(0, 0, matrix.width, matrix.height);
      overlay.setAttribute("aria-label", "No picture yet");
      matrix.setAttribute("aria-label", "No picture yet");
      return;
    }
    const at = Number(query.value);
    const { tokens, groups } = this.#attention;
    drawOverlay(overlay, this.#picture, groups, { ...this.#sizes(), query: at, tokens });
    drawMatrix(matrix, groups, tokens, at);
    const count = (list) => [0, 1, 2].map((group) => list.filter((members) => (members >> group) & 1).length).join(", ");
    const where = `layer ${this.element.layer.value}, head ${this.element.head.value}`;
    const row = groups.slice(at * tokens, (at + 1) * tokens);
    overlay.setAttribute("aria-label", `The picture with attention over it: ${where}; the query, ${query.selectedOptions[0].text}, attends to ${count(row)} of ${tokens} tokens by the three ${this.#planes()}`);
    matrix.setAttribute("aria-label", `Attention matrix of ${where}: ${count(groups)} of ${groups.length} elements are in the three ${this.#planes()}`);
  }

  #drawHeads() {
    for (const place of this.#heads) this.#drawHead(place);
  }

  #drawHead({ canvas, attention }) {
    if (!attention) return canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    const { tokens, groups } = attention;
    drawOverlay(canvas, this.#picture, groups, { ...this.#sizes(), query: Number(this.element.query.value), tokens, faint: true });
  }

  #planes() {
    return this.#attention.ofLevels ? "levels" : "groups";
  }

  #sizes() {
    const { config, learned_tokens: learned } = this.#student.model.description;
    return { learned, patches: config.image_size / config.patch_size };
  }

  #click(event) {
    if (!this.#student) return;
    const { left, top, width, height } = this.element.overlay.getBoundingClientRect();
    const { learned, patches } = this.#sizes();
    const place = (value, side) => Math.min(patches - 1, Math.max(0, Math.floor((value / side) * patches)));
    const row = place(event.clientY - top, height);
    this.element.query.value = learned + row * patches + place(event.clientX - left, width);
    this.redraw();
  }

  #grid({ depth, heads }) {
    const { heads: grid } = this.element;
    grid.style.gridTemplateColumns = `auto repeat(${heads}, minmax(0, ${heads > 6 ? 56 : 128}px))`;
    this.#heads = [];
    const rows = numbers(depth).map((layer) => {
      const title = document.createElement("span");
      title.textContent = `layer ${layer}`;
      const buttons = numbers(heads).map((head) => {
        const [button, canvas] = [document.createElement("button"), document.createElement("canvas")];
        canvas.width = canvas.height = 96;
        button.type = "button";
        button.setAttribute("aria-label", `layer ${layer}, head ${head}`);
        button.title = `layer ${layer}, head ${head}`;
        button.append(canvas);
        button.onclick = () => {
          this.element.layer.value = layer;
          this.element.head.value = head;
          this.#ask();
        };
        this.#heads.push({ button, canvas, layer: Number(layer), head: Number(head) });
        return button;
      });
      return [title, ...buttons];
    });
    grid.replaceChildren(...rows.flat());
  }

  #mark() {
    for (const { button, layer, head } of this.#heads) {
      const chosen = layer === Number(this.element.layer.value) && head === Number(this.element.head.value);
      button.setAttribute("aria-pressed", String(chosen));
    }
  }

  #slider([name, text, unit, most], index) {
    const place = document.createElement("div");
    place.className = "threshold";
    place.innerHTML = `<i style="background: var(--${name})"></i><label></label><input type="range" step="0.01"><output></output>`;
    const [label, input] = [place.querySelector("label"), place.querySelector("input")];
    [input.id, input.min, input.max, label.htmlFor] = [`threshold-${name}`, 0.01, most, `threshold-${name}`];
    label.textContent = text;
    input.oninput = () => {
      this.thresholds = this.thresholds.map((value, group) => (group === index ? Number(input.value) : value));
      this.#labels();
      this.moved();
    };
    place.unit = unit;
    return place;
  }

  #labels() {
    // Levels in place of groups have none.
    const { attention_groups: groups, attention_bits: bits } = this.#student?.model.description.config ?? { attention_groups: 3 };
    const count = bits ? 0 : groups;
    this.element.thresholds.parentElement.hidden = count === 0;
    [...this.element.thresholds.children].forEach((place, index) => {
      place.hidden = index >= count;
      const text = `${this.thresholds[index].toFixed(2)} ${place.unit}`;
      place.querySelector("input").value = this.thresholds[index];
      place.querySelector("input").setAttribute("aria-valuetext", text);
      place.querySelector("output").textContent = text;
    });
  }
}

function numbers(count) {
  return Array.from({ length: count }, (_, index) => String(index));
}

function fill(select, names, chosen) {
  select.replaceChildren(...names.map((name, index) => new Option(name, index)));
  select.value = chosen;
}
