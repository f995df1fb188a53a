// The pictures of the book: `just screenshots`.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { draw, FILE, launch, opened } from "./browser.mjs";
import { STROKES } from "./strokes.mjs";

const pictures = join(import.meta.dirname, "../../docs/src/pictures");
mkdirSync(pictures, { recursive: true });
const browser = await launch();
const desk = { viewport: { width: 1240, height: 1130 } };
const phone = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 1.5 };
for (const [name, options] of [
  ["light", { ...desk, colorScheme: "light" }],
  ["dark", { ...desk, colorScheme: "dark" }],
  ["phone", { ...phone, colorScheme: "light" }],
]) {
  const { page } = await opened(await browser.newContext(options), FILE);
  await draw(page, STROKES[5]);
  await page.click("#compare");
  await page.waitForFunction(() => document.getElementById("teacher-note").textContent, null, { timeout: 60_000 });
  // All heads follow.
  await page.waitForTimeout(1500);
  await page.evaluate(() => {
    document.activeElement.blur();
    scrollTo(0, 0);
  });
  await page.screenshot({ path: join(pictures, `page-${name}.png`) });
}
await browser.close();
