// Pictures of files and the camera, and the transform of evaluation.

/** The longer side of what is shown, and searched for ink: more takes seconds, and is not needed for either. */
const ENOUGH = 1024;
/** One in fixed point. */
const ONE = 2 ** 22;

/** What the browser decodes, upright: bytes of red, green, blue, opacity. */
export async function decode(source) {
  const bitmap = await createImageBitmap(source, { colorSpaceConversion: "none" });
  // Of more than that, a canvas may refuse to be made; half of a pixel's weight is lost then.
  const scale = Math.min(1, 4096 / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  // Where a picture is transparent there is paper.
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** A picture on a canvas, made smaller if it is larger than enough. */
export function shrunk(image) {
  const [whole, canvas] = [document.createElement("canvas"), document.createElement("canvas")];
  [whole.width, whole.height] = [image.width, image.height];
  whole.getContext("2d").putImageData(image, 0, 0);
  const scale = Math.min(1, ENOUGH / Math.max(image.width, image.height));
  [canvas.width, canvas.height] = [image.width, image.height].map((side) => Math.max(1, Math.round(side * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  return canvas;
}

/** Gray values as Pillow has them. */
export function grayOf({ width, height, data }) {
  const gray = new Uint8Array(width * height);
  for (let at = 0; at < gray.length; at++) {
    const [red, green, blue] = [data[4 * at], data[4 * at + 1], data[4 * at + 2]];
    gray[at] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  }
  return { width, height, gray };
}

/** Pixels of a model: the shorter side is resized, the centre cropped. */
export function transformed(image, { config, preprocessing }) {
  const { image_size: size, channels } = config;
  if (preprocessing.interpolation && preprocessing.interpolation.toLowerCase() !== "bicubic") {
    throw new Error(`its pictures are resized by the filter ${preprocessing.interpolation}, known here is bicubic`);
  }
  const shorter = Math.max(preprocessing.resize ?? size, size);
  const { width, height } = image;
  const scale = (side) => Math.floor((shorter * side) / Math.min(width, height));
  const [newWidth, newHeight] = width <= height ? [shorter, scale(height)] : [scale(width), shorter];
  // A half is rounded to the even number, as Python does.
  const centre = (side) => Math.floor((side - size + ((side - size) % 4 === 3 ? 1 : 0)) / 2);
  // What is cropped away is not computed: of a narrow strip, that is nearly everything.
  const columns = partsOf(width, newWidth, centre(newWidth), size);
  const rows = partsOf(height, newHeight, centre(newHeight), size);
  const top = rows[0].first;
  const bottom = rows.at(-1).first + rows.at(-1).parts.length;
  for (const row of rows) row.first -= top;
  const planes = channels === 1 ? [grayOf(image).gray] : [0, 1, 2].map((channel) => planeOf(image, channel));
  const pixels = new Uint8Array(size * size * planes.length);
  planes.forEach((plane, channel) => {
    const wide = resized(plane.subarray(top * width, bottom * width), width, columns);
    const high = resized(wide, bottom - top, rows);
    high.forEach((value, at) => (pixels[at * planes.length + channel] = value));
  });
  return pixels;
}

function planeOf({ width, height, data }, channel) {
  const plane = new Uint8Array(width * height);
  for (let at = 0; at < plane.length; at++) plane[at] = data[4 * at + channel];
  return plane;
}

/** What some pixels of a resized line are made of, as in Pillow: its bicubic filter with antialiasing, in fixed point. */
function partsOf(side, newSide, start, count) {
  const scale = side / newSide;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: count }, (_, at) => {
    const centre = (start + at + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const last = Math.min(side, Math.floor(centre + 2 * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (_, at) => cubic((at + first - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, parts: Int32Array.from(weights, (weight) => Math.trunc((weight / sum) * ONE + Math.sign(weight) / 2)) };
  });
}

/** Lines resized, and turned: what were rows are columns. */
function resized(plane, width, pixels) {
  const lines = plane.length / width;
  const out = new Uint8ClampedArray(pixels.length * lines);
  for (let line = 0; line < lines; line++) {
    pixels.forEach(({ first, parts }, at) => {
      const from = line * width + first;
      let value = ONE / 2;
      for (let part = 0; part < parts.length; part++) value += parts[part] * plane[from + part];
      out[at * lines + line] = Math.floor(value / ONE);
    });
  }
  return out;
}

function cubic(x) {
  const [a, at] = [-0.5, Math.abs(x)];
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1;
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * a : 0;
}
