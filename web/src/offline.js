// Keeps the page for when there is no network: what was loaded once is there again.
const FILES = ["./", "modern.js", "fallback.js"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open("gsb").then((cache) => cache.addAll(FILES)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

// The network first, so that a newer page is seen.
self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
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
