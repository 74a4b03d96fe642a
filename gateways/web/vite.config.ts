// How the client is built, served to developers, and tested.
//
// The build is byte-stable: the same sources and the same lockfile give the same files, so that
// what is committed under dist/ can be compared with a fresh build.

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

/** A klatsch on this machine, for `npm run dev`: `KLATSCH=https://localhost:5443 npm run dev`. */
const server = process.env["KLATSCH"] ?? "http://localhost:5280";
const proxied = ["/config.json", "/xmpp-websocket", "/http-bind", "/upload", "/i", "/api", "/.well-known"];

export default defineConfig(({ mode }) => ({
  plugins: [svelte()],
  // Tests mount components as a browser would.
  resolve: mode === "test" ? { conditions: ["browser"] } : {},
  // Files stand beside index.html and chat/index.html: both name them from the root.
  base: "/",
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    // Everything is a file of its own: the policy of the server allows no data: but for images.
    assetsInlineLimit: 0,
    // A preload helper for modules would be an inline script in spirit; browsers have it built in.
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rollupOptions: {
      input: { index: "index.html", chat: "chat/index.html" },
      output: {
        entryFileNames: "assets/[name]-[hash].js",
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      proxied.map((path) => [path, { target: server, ws: true, secure: false, changeOrigin: true }]),
    ),
  },
  test: {
    include: ["src/**/*.test.ts", "tools/**/*.test.ts"],
    environment: "jsdom",
    // Far above what any needs, on a busy machine too.
    testTimeout: 30_000,
    // No test depends on another's globals, nor on the clock of this machine's zone.
    env: { TZ: "Europe/Zurich" },
  },
}));
