// The students side by side.

const SHOWN = 10;

export class Answers {
  #place;
  #students = new Map();

  constructor(place) {
    this.#place = place;
  }

  add(student, remove) {
    const { name, about } = student;
    const place = document.createElement("div");
    place.className = "student";
    place.innerHTML = `<h3></h3><p class="about"></p><p class="says"><span class="class">–</span><span class="sure"></span></p><div class="bars"></div><p class="trained" hidden></p>`;
    place.querySelector("h3").textContent = name;
    place.querySelector(".about").textContent = about;
    if (remove) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `Close ${name}`;
      button.onclick = () => {
        this.#students.delete(student);
        place.remove();
        remove();
      };
      place.append(button);
    }
    this.#place.append(place);
    this.#students.set(student, place);
    this.show(student, null);
  }

  /** With what it says as trained, if the prediction is another. */
  show(student, prediction, trained = null) {
    const place = this.#students.get(student);
    if (!place) return;
    const names = student.model.description.class_names;
    const few = names.length <= SHOWN;
    const ranked = prediction?.top(few ? names.length : SHOWN) ?? [];
    // Few classes stand in their order, many with the likeliest first.
    const order = few ? names.map((name, index) => ({ name, class: index })) : ranked;
    const best = ranked[0];
    place.querySelector(".class").textContent = best?.name ?? "–";
    place.querySelector(".sure").textContent = best ? percent(best.probability) : few ? "" : `${names.length} classes`;
    const [before] = trained?.top(1) ?? [];
    const note = place.querySelector(".trained");
    note.hidden = !before;
    note.textContent = before ? `thresholds moved; as trained: ${before.name}, ${percent(before.probability)}` : "";
    const bars = order.map((each) => {
      const probability = prediction?.probabilities[each.class] ?? 0;
      const mark = each.class === best?.class ? " best" : "";
      return [span(`name${mark}`, each.name), bar(`bar${mark}`, probability), span(`value${mark}`, prediction ? percent(probability) : "")];
    });
    place.querySelector(".bars").replaceChildren(...bars.flat());
  }
}

export function percent(part) {
  return `${(100 * part).toFixed(part > 0.9995 || part < 0.0005 ? 0 : 1)} %`;
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function bar(name, part) {
  const [element, filled] = [span(name, ""), document.createElement("i")];
  element.setAttribute("aria-hidden", "true");
  filled.style.width = `${100 * part}%`;
  element.append(filled);
  return element;
}
