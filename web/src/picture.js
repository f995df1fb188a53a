// Pictures of files and the camera, and the transform of evaluation.

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
  let planes;
  if (channels === 1) planes = [grayOf(image).gray];
  else planes = [0, 1, 2].map((channel) => Uint8Array.from({ length: width * height }, (_, at) => image.data[4 * at + channel]));
  // A half is rounded to the even number, as Python does.
  const centre = (side) => Math.floor((side - size + ((side - size) % 4 === 3 ? 1 : 0)) / 2);
  const [left, top] = [centre(newWidth), centre(newHeight)];
  const pixels = new Uint8Array(size * size * planes.length);
  planes.forEach((plane, channel) => {
    const wide = resized(plane, width, height, newWidth);
    const high = turned(resized(turned(wide, newWidth, height), height, newWidth, newHeight), newHeight, newWidth);
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        pixels[(row * size + column) * planes.length + channel] = high[(row + top) * newWidth + column + left] ?? 0;
      }
    }
  });
  return pixels;
}

/** Rows resized as Pillow does: its bicubic filter with antialiasing, in fixed point. */
function resized(plane, width, height, newWidth) {
  if (width === newWidth) return plane;
  const scale = width / newWidth;
  const stretch = Math.max(scale, 1);
  const one = 2 ** 22;
  const out = new Uint8ClampedArray(newWidth * height);
  for (let column = 0; column < newWidth; column++) {
    const centre = (column + 0.5) * scale;
    const first = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const last = Math.min(width, Math.floor(centre + 2 * stretch + 0.5));
    const weights = Array.from({ length: last - first }, (_, at) => cubic((at + first - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0);
    const parts = weights.map((weight) => Math.trunc((weight / sum) * one + Math.sign(weight) / 2));
    for (let row = 0; row < height; row++) {
      let value = one / 2;
      for (let at = first; at < last; at++) value += parts[at - first] * plane[row * width + at];
      out[row * newWidth + column] = Math.floor(value / one);
    }
  }
  return out;
}

function cubic(x) {
  const [a, at] = [-0.5, Math.abs(x)];
  if (at < 1) return ((a + 2) * at - (a + 3)) * at * at + 1;
  return at < 2 ? (((at - 5) * at + 8) * at - 4) * a : 0;
}

function turned(plane, width, height) {
  const out = new Uint8Array(plane.length);
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) out[column * height + row] = plane[row * width + column];
  }
  return out;
}
