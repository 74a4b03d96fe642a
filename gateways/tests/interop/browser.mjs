// What the suites in a real browser share: a static server for the page on loopback, Debian's
// Chromium without a window, steps with a deadline, and a picture of the page when one fails.
//
// KLATSCH_ADDRESS: where the server under test listens; the pages come from port 5281 there.
// INTEROP_WORK/logs: where pictures go. KLATSCH_INTEROP_FRAMES=1: log what WebSockets carry.

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import process from "node:process";
import { chromium } from "playwright-core";

export const ADDRESS = process.env.KLATSCH_ADDRESS;
export const ORIGIN = `http://${ADDRESS}:5281`;
const LOGS = join(process.env.INTEROP_WORK, "logs");
const STEP_MS = 30_000; // far above what a healthy server and a busy machine need

const TYPES = {
  ".css": "text/css",
  ".js": "text/javascript",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Serves a page at `/`, and files below the folders by the first part of their path. */
export async function serve(page, folders) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, ORIGIN).pathname);
    if (path === "/") {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(page);
      return;
    }
    const [, first, ...rest] = path.split("/");
    const folder = folders[first];
    const file = createReadStream(join(folder ?? "/nonexistent", ...rest));
    file.on("error", () => response.writeHead(404).end());
    file.on("open", () => {
      response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "text/plain" });
      file.pipe(response);
    });
  });
  await new Promise((resolve) => server.listen(5281, ADDRESS, resolve));
  return server;
}

/** A browser for which the name localhost, and those below it, are where the server listens. */
export async function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox", // there is none in a container, and nothing foreign is opened
      "--disable-dev-shm-usage",
      "--disable-gpu",
      `--host-resolver-rules=MAP localhost ${ADDRESS}, MAP *.localhost ${ADDRESS}`,
    ],
  });
}

/** Somebody's browser: nothing is shared with others', and what its page complains of is kept. */
export async function visit(browser, name) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" });
  const page = await context.newPage();
  page.on("console", (message) => console.log(`${name}: ${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => console.log(`${name}: page error: ${error.stack}`));
  page.on("requestfailed", (request) =>
    console.log(`${name}: ${request.method()} ${request.url()}: ${request.failure().errorText}`),
  );
  if (process.env.KLATSCH_INTEROP_FRAMES) {
    page.on("websocket", (socket) => {
      socket.on("framesent", (frame) => console.log(`${name} sends: ${frame.payload}`));
      socket.on("framereceived", (frame) => console.log(`${name} gets: ${frame.payload}`));
    });
  }
  page.setDefaultTimeout(STEP_MS);
  await page.goto(ORIGIN);
  return page;
}

let failed = 0;

/** Runs steps for these pages; each is a PASS or FAIL line, and the first failure ends them. */
export function steps(suite, pages) {
  return async (name, run) => {
    if (failed) return;
    const begin = performance.now();
    const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
    let timer;
    const deadline = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done in ${STEP_MS / 1000} s`)), STEP_MS);
    });
    try {
      await Promise.race([run(), deadline]);
      console.log(`PASS ${suite}: ${name} (${seconds()})`);
    } catch (error) {
      failed += 1;
      const [reason] = `${error.message ?? error}`.split("\n");
      console.log(`FAIL ${suite}: ${name}: ${reason} (${seconds()})`);
      console.log(error.stack);
      for (const [who, page] of Object.entries(pages)) {
        const path = join(LOGS, `${suite}-${who}.png`);
        await page.screenshot({ path, timeout: 10_000 }).catch((why) => console.log(`${why}`));
        console.log(`a picture of ${who}'s page: ${path}`);
      }
    } finally {
      clearTimeout(timer);
    }
  };
}

export function expect(truth, what) {
  if (!truth) throw new Error(what);
}

export const outcome = () => (failed ? 1 : 0);
