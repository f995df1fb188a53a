// Keeps the page for when there is no network: what was loaded once is there again.
const ENGINES = self.location.search === "?fallback" ? ["modern.js", "fallback.js"] : ["modern.js"];
const FILES = ["./", "index.html", ...ENGINES];
// These are kept once they have been asked for. What else a service answers at its address is not of the page.
const MORE = ["fallback.js", "teacher.js", "mnist.js", "flowers.js"];
const OWN = new Set([...FILES, ...MORE].map((name) => new URL(name, self.location).pathname));

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open("gsb").then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The network first, so that a newer page is seen.
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !OWN.has(new URL(event.request.url).pathname)) return;
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
