// The service worker: one file without imports, whose name stays, for that is how browsers know it
// again. Built after the pages; then everything is packed.

import { defineConfig } from "vite";
import { pack } from "./tools/pack.js";

export default defineConfig({
  plugins: [pack()],
  publicDir: false,
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: false,
    reportCompressedSize: false,
    rollupOptions: {
      input: "src/worker/sw.ts",
      output: { format: "iife", entryFileNames: "sw.js" },
    },
  },
});
