// What the suites of the web client share: a real klatsch (server.mjs), Debian's Chromium without a
// window, people with a browser each, steps with a deadline (steps.mjs), and a picture of every page
// when one fails.
//
// CHROMIUM: the browser. KLATSCH_WEB_PICTURES: a folder for pictures. KLATSCH_WEB_FRAMES=1 prints
// what goes through WebSockets.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { clean, IS_ENCRYPTED, ORIGIN, serverLog, stopServer, WEB, work } from "./server.mjs";
import { expect, hasFailed, report, step, STEP_MS, whenFailed } from "./steps.mjs";

export * from "./server.mjs";
export * from "./steps.mjs";

// The packages are the client's own.
const { chromium } = await import(join(WEB, "node_modules/playwright-core/index.mjs"));
const axe = readFileSync(createRequire(join(WEB, "package.json")).resolve("axe-core/axe.min.js"), "utf8");

const pictures = process.env.KLATSCH_WEB_PICTURES ?? join(work, "pictures");
mkdirSync(pictures, { recursive: true });

export const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", // there is none in a container, and nothing foreign is opened
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--force-color-profile=srgb",
    // Devices that are none: a beep and a moving picture.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--auto-select-desktop-capture-source=Entire screen",
    "--allow-loopback-in-peer-connection",
    // The server makes a certificate itself, which nobody else vouches for.
    ...(IS_ENCRYPTED ? ["--ignore-certificate-errors"] : []),
  ],
});

const pages = new Map();
/** What pages complained of; a suite that ends well has none. */
export const complaints = [];
whenFailed(async () => {
  for (const [who, page] of pages) {
    if (!page.isClosed()) await picture(page, `failed-${who}`).catch((why) => console.log(`${why}`));
  }
  console.log(`pictures: ${pictures}`);
});

/** Somebody's browser: nothing is shared with others'. `init` runs in each of its pages first. */
export async function visit(name, { url = `${ORIGIN}/`, init, ...options } = {}) {
  const context = await browser.newContext({
    locale: "en-GB",
    viewport: { width: 1280, height: 800 },
    // What is half faded in is neither read well nor clicked well.
    reducedMotion: "reduce",
    ignoreHTTPSErrors: IS_ENCRYPTED,
    permissions: ["clipboard-read", "clipboard-write", "microphone"],
    ...options,
  });
  if (init) await context.addInitScript(init);
  return openPage(name, context, url);
}

/** One more page of somebody's browser. */
export async function openPage(name, context, url = `${ORIGIN}/`) {
  const page = await context.newPage();
  pages.set(name, page);
  page.setDefaultTimeout(STEP_MS);
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) console.log(`${name}: ${message.type()}: ${message.text()}`);
    // The policy of the page was broken: by us, for there is nobody else.
    if (/Content Security Policy|Trusted ?Type|TrustedHTML|TrustedScript/.test(message.text())) complaints.push(`${name}: ${message.text()}`);
  });
  page.on("pageerror", (error) => {
    console.log(`${name}: page error: ${error.stack}`);
    complaints.push(`${name}: ${error.message}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) console.log(`${name}: ${response.status()} for ${response.request().method()} ${response.url()}`);
  });
  if (process.env.KLATSCH_WEB_FRAMES) {
    page.on("websocket", (socket) => {
      socket.on("framesent", (frame) => console.log(`${name} sends: ${frame.payload}`));
      socket.on("framereceived", (frame) => console.log(`${name} gets: ${frame.payload}`));
    });
  }
  await page.goto(url);
  return page;
}

/** Through the door, in whatever language. */
export async function signIn(page, name, password = `password-of-${name}`) {
  await page.locator("input[autocomplete=username]").fill(name);
  await page.locator("input[autocomplete=current-password]").fill(password);
  await page.locator("form button[type=submit]").click();
  await page.locator(".sidebar").waitFor();
}

export const picture = (page, name) => page.screenshot({ path: join(pictures, `${name}.png`) });

/** What axe finds serious or worse in a view, or in a part of it. */
export async function accessible(page, view, part = "document") {
  // The tools of a message under the pointer lie over its neighbours.
  await page.mouse.move(600, 2);
  // Out of the page's world, where its policy does not count: it would forbid to load this.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const { executionContextId: contextId } = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  await session.send("Runtime.evaluate", { contextId, expression: axe });
  const { result } = await session.send("Runtime.evaluate", {
    contextId,
    awaitPromise: true,
    returnByValue: true,
    expression: `axe.run(${part}, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }).then(({ violations }) =>
      violations.map(({ id, impact, nodes }) => ({ id, impact, nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 200) + " " + failureSummary) })))`,
  });
  await session.detach();
  expect(Array.isArray(result.value), `axe did not run in ${view}: ${result.description ?? result.type}`);
  for (const { id, impact, nodes } of result.value) console.log(`axe in ${view}: ${impact} ${id}: ${nodes.join(" | ")}`);
  const bad = result.value.filter(({ impact }) => impact === "serious" || impact === "critical");
  expect(bad.length === 0, `axe in ${view}: ${bad.map(({ id }) => id).join(", ")}`);
}

/** Ends browsers and the server; the process with them. */
export async function finish() {
  await step("no page broke its policy or threw", async () => expect(complaints.length === 0, complaints.join("; ")));
  await browser.close();
  await stopServer();
  const log = serverLog();
  if (/panicked at/.test(log)) report(false, "the server panicked");
  if (hasFailed()) console.log(log.split("\n").slice(-20).join("\n"));
  else clean();
  process.exit(hasFailed() ? 1 : 0);
}
