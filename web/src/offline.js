// Keeps the page for when there is no network: what was loaded once is there again.
const ENGINES = self.location.search === "?fallback" ? ["modern.js", "fallback.js"] : ["modern.js"];
const FILES = ["./", ...ENGINES];
// These are kept once they have been asked for. What else a service answers at its address is not of the page.
const MORE = ["index.html", "fallback.js", "teacher.js", "mnist.js", "flowers.js"];
const OWN = new Set([...FILES, ...MORE].map((name) => new URL(name, self.location).pathname));

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open("gsb");
    await cache.addAll(FILES);
    // The page by its other name, where a server knows it by that.
    await cache.add("index.html").catch(() => {});
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The network first, so that a newer page is seen.
self.addEventListener("fetch", (event) => {
  const { origin, pathname } = new URL(event.request.url);
  if (event.request.method !== "GET" || origin !== self.location.origin || !OWN.has(pathname)) return;
  const kept = async () => {
    try {
      const response = await fetch(event.request);
      if (response.ok) (await caches.open("gsb")).put(event.request, response.clone());
      return response;
    } catch (error) {
      const found = await caches.match(event.request, { ignoreSearch: true });
      if (found) return found;
      throw error;
    }
  };
  event.respondWith(kept());
});
