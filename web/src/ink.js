// From strokes or a picture of a digit to the small picture that a model was trained on.
//
// The digits of 8x8 pixels were bitmaps of 32x32, as high as the bitmap and centred, of whose blocks of 4x4 the
// set pixels were counted: 0 to 16. They are bold: about 314 of 1,024 pixels are set, whatever the digit. Those
// of MNIST, 28x28, fit a box of 20x20 and are centred by their mass.

const STYLES = {
  8: { grid: 32, box: [24, 32], ink: 314, widths: [3.5, 9], counts: 16 },
  28: { grid: 112, box: [80, 80], widths: [9, 9], centred: true, counts: 16 },
};

/** Whether models of a size look at digits as this makes them. */
export function isInk(config) {
  return config.channels === 1 && config.image_size in STYLES;
}

/** Pixels of strokes, lists of points; null without any. */
export function ofStrokes(strokes, size) {
  const points = strokes.flat();
  if (points.length === 0) return null;
  const style = STYLES[size];
  const [left, right] = extent(points, 0);
  const [top, bottom] = extent(points, 1);
  const render = (width) => {
    const [boxWidth, boxHeight] = style.box.map((side) => side - width);
    const high = boxHeight / Math.max(bottom - top, 1e-6);
    const wide = boxWidth / Math.max(right - left, 1e-6);
    // As high as the box; what is wider than the box is narrowed, but a dash is not made a block.
    let [x, y] = style.centred ? [Math.min(high, wide), Math.min(high, wide)] : [Math.min(high, wide), high];
    if (bottom - top < (right - left) / 3) y = x;
    if (points.every(([a, b]) => a === points[0][0] && b === points[0][1])) x = y = 0;
    const middle = [(left + right) / 2, (top + bottom) / 2];
    const place = (point) => [style.grid / 2 + (point[0] - middle[0]) * x, style.grid / 2 + (point[1] - middle[1]) * y];
    return bitmap(strokes.map((stroke) => stroke.map(place)), style.grid, width / 2);
  };
  return counted(centred(boldest(render, style), style), style);
}

/** Pixels of a gray picture, values 0 to 255; null if nothing stands out. */
export function ofPicture({ width, height, gray }, size) {
  const style = STYLES[size];
  const bits = inkOf(gray, width, height);
  if (!bits) return null;
  const [[left, right], [top, bottom]] = bounds(bits, width, height);
  const render = (thicker) => {
    const [boxWidth, boxHeight] = style.box.map((side) => side - 2 * thicker);
    const high = boxHeight / (bottom - top);
    const wide = boxWidth / (right - left);
    let [x, y] = style.centred ? [Math.min(high, wide), Math.min(high, wide)] : [Math.min(high, wide), high];
    if (bottom - top < (right - left) / 3) y = x;
    const { grid } = style;
    const small = new Uint8Array(grid * grid);
    for (let row = 0; row < grid; row++) {
      for (let column = 0; column < grid; column++) {
        const from = (left + right) / 2 + (column + 0.5 - grid / 2) / x;
        const under = (top + bottom) / 2 + (row + 0.5 - grid / 2) / y;
        small[row * grid + column] = share(bits, width, height, from, under, 0.5 / x, 0.5 / y) > 0.5 ? 1 : 0;
      }
    }
    return thickened(small, grid, thicker);
  };
  const [, most] = style.widths;
  return counted(centred(boldest(render, { ...style, widths: [0, style.ink ? most / 3 : 0] }), style), style);
}

/** What is nearest to the usual amount of ink. */
function boldest(render, { ink, widths: [least, most] }) {
  let best = render(least);
  if (!ink) return best;
  const off = (bits) => Math.abs(bits.reduce((a, b) => a + b, 0) - ink);
  for (let width = least + 0.5; width <= most; width += 0.5) {
    const next = render(width);
    if (off(next) < off(best)) best = next;
  }
  return best;
}

function extent(points, axis) {
  const values = points.map((point) => point[axis]);
  return [Math.min(...values), Math.max(...values)];
}

/** A grid of what is within a distance of the strokes. */
function bitmap(strokes, grid, reach) {
  const bits = new Uint8Array(grid * grid);
  for (const stroke of strokes) {
    for (let index = 0; index < stroke.length; index++) {
      const [a, b] = [stroke[Math.max(index - 1, 0)], stroke[index]];
      const from = (axis) => Math.max(0, Math.floor(Math.min(a[axis], b[axis]) - reach));
      const to = (axis) => Math.min(grid, Math.ceil(Math.max(a[axis], b[axis]) + reach));
      for (let row = from(1); row < to(1); row++) {
        for (let column = from(0); column < to(0); column++) {
          if (distance([column + 0.5, row + 0.5], a, b) <= reach) bits[row * grid + column] = 1;
        }
      }
    }
  }
  return bits;
}

function distance([x, y], a, b) {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const length = dx * dx + dy * dy;
  const along = length ? Math.min(1, Math.max(0, ((x - a[0]) * dx + (y - a[1]) * dy) / length)) : 0;
  return Math.hypot(x - a[0] - along * dx, y - a[1] - along * dy);
}

/** Moved so that the centre of mass is in the middle, where a data set does so. */
function centred(bits, { grid, centred: wanted }) {
  if (!wanted) return bits;
  let [sum, x, y] = [0, 0, 0];
  bits.forEach((bit, at) => {
    sum += bit;
    x += bit * (at % grid);
    y += bit * Math.floor(at / grid);
  });
  const right = Math.round((grid - 1) / 2 - x / sum);
  const down = Math.round((grid - 1) / 2 - y / sum);
  const moved = new Uint8Array(bits.length);
  bits.forEach((bit, at) => {
    const [column, row] = [(at % grid) + right, Math.floor(at / grid) + down];
    if (bit && column >= 0 && column < grid && row >= 0 && row < grid) moved[row * grid + column] = 1;
  });
  return moved;
}

/** Set pixels of each block of 4x4, as `round(count * 255 / 16)`. */
function counted(bits, { grid, counts }) {
  const size = grid / 4;
  const pixels = new Uint8Array(size * size);
  bits.forEach((bit, at) => {
    pixels[Math.floor(at / grid / 4) * size + Math.floor((at % grid) / 4)] += bit;
  });
  return pixels.map((count) => Math.floor((count * 255 + counts / 2) / counts));
}

/** What of a picture is ink: darker or brighter than its border, by Otsu's threshold, without specks. */
function inkOf(gray, width, height) {
  const histogram = new Float64Array(256);
  for (const value of gray) histogram[value]++;
  const total = gray.length;
  const sum = histogram.reduce((all, count, value) => all + count * value, 0);
  let [below, belowSum, best, threshold] = [0, 0, 0, 0];
  for (let value = 0; value < 255; value++) {
    below += histogram[value];
    belowSum += histogram[value] * value;
    if (below === 0 || below === total) continue;
    const between = (belowSum / below - (sum - belowSum) / (total - below)) ** 2 * below * (total - below);
    if (between > best) [best, threshold] = [between, value];
  }
  if (best === 0) return null;
  let [border, bright] = [0, 0];
  for (let at = 0; at < total; at++) {
    const [column, row] = [at % width, Math.floor(at / width)];
    if (column > 0 && row > 0 && column < width - 1 && row < height - 1) continue;
    border++;
    bright += gray[at] > threshold ? 1 : 0;
  }
  const dark = bright > border / 2;
  const bits = Uint8Array.from(gray, (value) => (value > threshold) !== dark ? 1 : 0);
  return withoutSpecks(bits, width, height);
}

/** Without parts below a twentieth of the largest. */
function withoutSpecks(bits, width, height) {
  const part = new Int32Array(bits.length);
  const sizes = [0];
  for (let start = 0; start < bits.length; start++) {
    if (!bits[start] || part[start]) continue;
    const stack = [start];
    part[start] = sizes.length;
    let size = 0;
    while (stack.length) {
      const at = stack.pop();
      size++;
      const [column, row] = [at % width, Math.floor(at / width)];
      const near = [column > 0 && at - 1, column < width - 1 && at + 1, row > 0 && at - width, row < height - 1 && at + width];
      for (const next of near) {
        if (next !== false && bits[next] && !part[next]) {
          part[next] = sizes.length;
          stack.push(next);
        }
      }
    }
    sizes.push(size);
  }
  // There may be more parts than a call takes arguments.
  const least = sizes.reduce((most, size) => Math.max(most, size), 0) / 20;
  return bits.map((bit, at) => (bit && sizes[part[at]] >= least ? 1 : 0));
}

function bounds(bits, width, height) {
  let [left, right, top, bottom] = [width, 0, height, 0];
  bits.forEach((bit, at) => {
    if (!bit) return;
    const [column, row] = [at % width, Math.floor(at / width)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
  });
  return [[left, right], [top, bottom]];
}

/** How much of a rectangle is set. */
function share(bits, width, height, x, y, halfWidth, halfHeight) {
  const steps = (half) => Math.max(1, Math.ceil(2 * half));
  const [across, along] = [steps(halfWidth), steps(halfHeight)];
  let sum = 0;
  for (let i = 0; i < along; i++) {
    for (let j = 0; j < across; j++) {
      const column = Math.floor(x + ((2 * j + 1) / across - 1) * halfWidth);
      const row = Math.floor(y + ((2 * i + 1) / along - 1) * halfHeight);
      if (column >= 0 && column < width && row >= 0 && row < height) sum += bits[row * width + column];
    }
  }
  return sum / across / along;
}

function thickened(bits, grid, reach) {
  if (reach === 0) return bits;
  const out = new Uint8Array(bits.length);
  const around = Math.floor(reach);
  bits.forEach((bit, at) => {
    if (!bit) return;
    const [column, row] = [at % grid, Math.floor(at / grid)];
    for (let dy = -around; dy <= around; dy++) {
      for (let dx = -around; dx <= around; dx++) {
        const [x, y] = [column + dx, row + dy];
        if (dx * dx + dy * dy <= reach * reach && x >= 0 && x < grid && y >= 0 && y < grid) out[y * grid + x] = 1;
      }
    }
  });
  return out;
}
