// Measures dist/ against the budgets: what a first visit loads, and what comes later by its name.
// Fails when one is exceeded. Sizes are gzip at level 9, in KB of 1,000 bytes.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { gzipSync } from "node:zlib";

const DIST = join(import.meta.dirname, "../dist");
const INITIAL_JS_MAX = 130_000;
const INITIAL_CSS_MAX = 15_000;
/** Chunks that come when they are asked for, by the beginning of their names. */
const LAZY_MAX = { calls: 25_000, more: 25_000, emoji: 40_000, omemo: 80_000 };
/** Any other lazy chunk. */
const OTHER_MAX = 20_000;

const packed = (file) => gzipSync(readFileSync(join(DIST, file)), { level: 9 }).length;

/** What a page names itself; Vite lists the static imports of its script as module preloads. */
function initial(page) {
  const html = readFileSync(join(DIST, page), "utf8");
  return [...html.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, file]) => file);
}

const lines = [];
let exceeded = 0;
function weigh(what, bytes, most) {
  if (bytes > most) exceeded += 1;
  lines.push(`${bytes > most ? "OVER" : "ok  "} ${(bytes / 1000).toFixed(1).padStart(7)} of ${most / 1000} KB  ${what}`);
}

const seen = new Set();
for (const page of ["index.html", "chat/index.html"]) {
  const files = initial(page);
  files.forEach((file) => seen.add(file));
  const sum = (end) => files.filter((file) => file.endsWith(end)).reduce((all, file) => all + packed(file), 0);
  weigh(`${page}: initial JavaScript`, sum(".js"), INITIAL_JS_MAX);
  weigh(`${page}: initial CSS`, sum(".css"), INITIAL_CSS_MAX);
}
for (const name of readdirSync(join(DIST, "assets")).sort()) {
  const file = `assets/${name}`;
  if (seen.has(file) || !/\.(js|css)$/.test(name)) continue;
  const known = Object.keys(LAZY_MAX).find((prefix) => name.toLowerCase().startsWith(prefix));
  weigh(`lazy ${name}`, packed(file), known ? LAZY_MAX[known] : OTHER_MAX);
}
console.log(lines.join("\n"));
process.exit(exceeded > 0 ? 1 : 0);
