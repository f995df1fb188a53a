// Drawing: strokes of a pen, a finger, a mouse or the keyboard, on a square of 280 points.

const SIDE = 280;
const STEP = 8;
const PEN = 18;

export class Pad {
  strokes = [];
  #canvas;
  #context;
  #drawing = new Map();
  #pen = [SIDE / 2, SIDE / 4];
  #down = false;
  #picture;

  /** Calls when strokes have changed. */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.changed = changed;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      this.#begin([this.#at(event)], event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      const stroke = this.#drawing.get(event.pointerId);
      if (!stroke) return;
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) stroke.push(this.#at(each));
      this.#draw();
      this.changed();
    });
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.#drawing.delete(event.pointerId));
    }
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("focus", () => this.#draw());
    canvas.addEventListener("blur", () => {
      this.#down = false;
      this.#draw();
    });
    this.#draw();
  }

  clear() {
    this.strokes = [];
    this.#drawing.clear();
    this.#picture = undefined;
    this.#down = false;
    this.#draw();
  }

  /** Shows a picture instead of strokes. */
  show(picture) {
    this.clear();
    this.#picture = picture;
    this.#draw();
  }

  /** The strokes as a picture, without the pen of the keyboard. */
  image() {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.#canvas.width, this.#canvas.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    this.#drawStrokes(context);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  }

  #begin(stroke, id) {
    if (this.#picture) this.clear();
    this.strokes.push(stroke);
    this.#drawing.set(id, stroke);
    this.#draw();
    this.changed();
  }

  #at(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [((event.clientX - left) / width) * SIDE, ((event.clientY - top) / height) * SIDE];
  }

  #key(event) {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    if (event.key in moves) {
      const within = (value) => Math.min(SIDE - PEN / 2, Math.max(PEN / 2, value));
      this.#pen = this.#pen.map((value, axis) => within(value + moves[event.key][axis]));
      const stroke = this.#down && this.#drawing.get("keyboard");
      if (stroke) {
        stroke.push([...this.#pen]);
        this.changed();
      }
      this.#draw();
    } else if (event.key === " ") {
      const down = !this.#down;
      if (down) this.#begin([[...this.#pen]], "keyboard");
      else this.#drawing.delete("keyboard");
      // A picture that the stroke takes the place of has been cleared, and the pen raised.
      this.#down = down;
      this.#draw();
    } else if (event.key === "Backspace" || event.key === "Delete") {
      this.clear();
      this.changed();
    } else {
      return;
    }
    event.preventDefault();
  }

  #draw() {
    const context = this.#context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (this.#picture) {
      const { width, height } = this.#picture;
      const fit = Math.min(this.#canvas.width / width, this.#canvas.height / height);
      context.imageSmoothingEnabled = fit < 4;
      const [left, top] = [(this.#canvas.width - width * fit) / 2, (this.#canvas.height - height * fit) / 2];
      context.drawImage(this.#picture, left, top, width * fit, height * fit);
      return;
    }
    this.#drawStrokes(context);
    // Where the pen of the keyboard is.
    if (document.activeElement === this.#canvas && this.#canvas.matches(":focus-visible")) {
      context.beginPath();
      context.arc(...this.#pen, PEN / 2, 0, 2 * Math.PI);
      context.lineWidth = 2;
      context.strokeStyle = this.#down ? "#f39a45" : "#58b6c9";
      context.stroke();
    }
  }

  #drawStrokes(context) {
    const scale = this.#canvas.width / SIDE;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#f4f1ea";
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(...stroke[0]);
      for (const point of stroke) context.lineTo(...point);
      context.stroke();
    }
  }
}
