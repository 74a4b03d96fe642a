// Packs what was built, once, so that the server packs nothing: NAME.br and NAME.gz beside NAME,
// for text that gains by it. The same bytes each time: no times, no names inside.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const PACKED = /\.(?:html|js|css|svg|json|webmanifest)$/;
/** Below this, the header that tells of it costs what is saved. */
const BYTES_MIN = 512;

/** A plugin of Vite's. */
export function pack() {
  let folder = "dist";
  return {
    name: "klatsch-pack",
    apply: "build",
    configResolved(config) {
      folder = config.build.outDir;
    },
    closeBundle() {
      for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
        if (PACKED.test(name)) packFile(join(folder, name));
      }
    },
  };
}

function packFile(path) {
  const bytes = readFileSync(path);
  if (bytes.length < BYTES_MIN) return;
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params }));
}
