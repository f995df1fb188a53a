// Pictures, attention and weights on canvases.

/** The colours of the groups, and of the page, as they are now. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  return { groups: [colour("first"), colour("second"), colour("third")], paper: colour("paper"), card: colour("card") };
}

/** Pixels of a model as a canvas of its size. */
export function canvasOf(pixels, { image_size: size, channels }) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const image = new ImageData(size, size);
  for (let at = 0; at < size * size; at++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * at + channel] = pixels[channels === 3 ? 3 * at + channel : at * channels];
    }
    image.data[4 * at + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

export function drawPicture(canvas, picture, alpha = 1) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = alpha;
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  context.globalAlpha = 1;
}

/** The groups of an element: squares in each other, the first group the outermost. */
function element(context, members, x, y, side, { groups }) {
  for (let group = 0; group < groups.length; group++) {
    if (!((members >> group) & 1)) continue;
    const inset = side >= 6 ? (side * group) / 6 : 0;
    context.fillStyle = groups[group];
    context.fillRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset);
  }
}

/** What a query attends to, over the patches of a picture. */
export function drawOverlay(canvas, picture, groups, { query, tokens, learned, patches, faint }) {
  drawPicture(canvas, picture, faint ? 0.75 : 1);
  const context = canvas.getContext("2d");
  const side = canvas.width / patches;
  const palette = colours();
  for (let patch = 0; patch < patches * patches; patch++) {
    const members = groups[query * tokens + learned + patch];
    const [x, y] = [(patch % patches) * side, Math.floor(patch / patches) * side];
    context.globalAlpha = faint ? 0.9 : 0.62;
    element(context, members, x + 0.04 * side, y + 0.04 * side, 0.92 * side, palette);
  }
  context.globalAlpha = 1;
  if (query >= learned && !faint) {
    const patch = query - learned;
    context.strokeStyle = "#ffffff";
    context.lineWidth = 4;
    context.strokeRect((patch % patches) * side + 2, Math.floor(patch / patches) * side + 2, side - 4, side - 4);
  }
}

/** All queries and keys of a head. */
export function drawMatrix(canvas, groups, tokens, query) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  const side = canvas.width / tokens;
  const palette = colours();
  const gap = side >= 6 ? 0.06 * side : 0;
  for (let at = 0; at < tokens * tokens; at++) {
    if (groups[at]) element(context, groups[at], (at % tokens) * side + gap, Math.floor(at / tokens) * side + gap, side - 2 * gap, palette);
  }
  context.strokeStyle = "#ffffff";
  context.lineWidth = Math.max(1.5, side / 12);
  context.strokeRect(1, query * side, canvas.width - 2, side);
}

/** Weights as an image, an output a row: signs in two colours, levels in shades. */
export function drawWeights(canvas, { rows, columns, bits, values }) {
  // Whole pixels, as many as let rows of a small layer fill the page.
  const scale = Math.max(1, Math.min(6, Math.floor(560 / columns)));
  canvas.width = columns;
  canvas.height = rows;
  canvas.style.width = `${columns * scale}px`;
  canvas.style.height = `${rows * scale}px`;
  const { groups } = colours();
  const [plus, minus] = [rgb(groups[0]), rgb(colours().card)];
  const image = new ImageData(columns, rows);
  const most = bits === 1 ? 1 : 2 ** (bits - 1);
  values.forEach((value, at) => {
    const part = (value / most + 1) / 2;
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * at + channel] = minus[channel] + (plus[channel] - minus[channel]) * part;
    }
    image.data[4 * at + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function rgb(colour) {
  const number = parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
