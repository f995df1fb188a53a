// Chromium and a server of static files, for the tests and the screenshots.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
import { chromium } from "playwright-core";

export const DIST = process.env.GSB_PAGE ?? join(import.meta.dirname, "../dist");
export const FILE = `file://${DIST}/index.html`;

const TYPES = { html: "text/html", js: "text/javascript" };

export function launch() {
  const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  const executablePath = places.find((place) => place && existsSync(place));
  if (!executablePath) throw new Error("there is no Chromium: install the package chromium, or say in CHROMIUM where it is");
  // Its sandbox cannot be made as root in a container. The camera is Chromium's own moving picture.
  const args = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
  return chromium.launch({ executablePath, args });
}

/** Serves the page; gives its address and an end. */
export async function serve() {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://x").pathname);
    const file = join(DIST, path.endsWith("/") ? `${path}index.html` : path);
    if (!file.startsWith(DIST) || !existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[file.split(".").pop()] });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}/`, end: () => server.close() };
}

/** A page that is ready, and what went wrong in it. */
export async function opened(context, address) {
  const page = await context.newPage();
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(error.message));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  await page.goto(address);
  await page.waitForSelector("html[data-ready]", { timeout: 60_000 });
  return { page, wrong };
}

/** Draws strokes, given on a square of 280 points, with the mouse. */
export async function draw(page, strokes) {
  await page.click("#clear");
  const { x, y, width } = await page.locator("#pad").boundingBox();
  for (const stroke of strokes) {
    const points = stroke.map(([across, down]) => [x + (across * width) / 280, y + (down * width) / 280]);
    await page.mouse.move(...points[0]);
    await page.mouse.down();
    for (const point of points) await page.mouse.move(...point);
    await page.mouse.up();
  }
}

/** What a student says, once it says something else than before or the expected. */
export function says(page, student = 0) {
  return page.locator(".student .class").nth(student);
}
