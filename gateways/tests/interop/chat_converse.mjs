// Two people use Converse.js 14 in Chromium: the whole web client, by its own buttons.
//
// Proves that a real browser client works over WebSocket and HTTPS from another origin: login
// with a password that the page hashes itself (SCRAM), a room that does not exist yet, messages
// and a picture through it (XEP-0045, 0363 with the browser's preflight), and that after a
// reload everything is there again (resumption or login with kept keys, archive of the room).
//
// Accounts: iris and jack @localhost with the passwords pw-iris and pw-jack.

import { join } from "node:path";
import process from "node:process";
import { ORIGIN, expect, launch, outcome, serve, steps, visit } from "./browser.mjs";

const ROOM = "tearoom@conference.localhost";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Converse</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/converse/converse.min.css">
</head>
<body class="converse-fullscreen">
<div id="conversejs-bg"></div>
<script type="module">
import converse from "/converse/converse.min.js";
converse.plugins.add("interop", {
  initialize() { window.api = this._converse.api; },
});
converse.initialize({
  allow_registration: false,
  assets_path: "/converse/",
  auto_away: 0,
  discover_connection_methods: false,
  loglevel: "warn",
  muc_domain: "conference.localhost",
  view_mode: "fullscreen",
  websocket_url: "wss://localhost:5443/xmpp-websocket",
  whitelisted_plugins: ["interop"],
});
</script>
</body>
</html>`;

// One red pixel.
const PICTURE = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  "base64",
);

async function login(page, name) {
  await page.fill("input[name=jid]", `${name}@localhost`);
  await page.fill("input[name=password]", `pw-${name}`);
  await page.click("input[type=submit], button[type=submit]");
  await page.waitForFunction(() => window.api?.connection?.connected?.());
}

async function enter(page, nick) {
  const wanted = { room: ROOM, nick };
  await page.evaluate(({ room, nick }) => window.api.rooms.open(room, { nick }, true), wanted);
  await page.waitForSelector(`converse-muc[jid="${ROOM}"] .chat-textarea`);
}

async function say(page, text) {
  await page.fill(".chat-textarea", text);
  await page.press(".chat-textarea", "Enter");
}

const shown = (text) => `.chat-msg__text:text-is("${text}")`;

const converse = join(process.cwd(), "node_modules/converse.js/dist");
// It looks for one of its files at the root.
const wasm = "curve25519_compiled.wasm";
const server = await serve(PAGE, { converse, [wasm]: join(converse, wasm) });
const browser = await launch();
const iris = await visit(browser, "iris");
const jack = await visit(browser, "jack");
const on = steps("converse", { iris, jack });

await on("a wrong password is refused", async () => {
  await jack.fill("input[name=jid]", "jack@localhost");
  await jack.fill("input[name=password]", "wrong");
  await jack.click("input[type=submit], button[type=submit]");
  await jack.waitForFunction(() => /password|log in/i.test(document.querySelector(".conn-feedback")?.textContent));
  expect(await jack.evaluate(() => !window.api?.connection?.connected?.()), "it got in");
  await jack.goto(ORIGIN);
});
await on("two people log in over WebSocket", async () => {
  await login(iris, "iris");
  await login(jack, "jack");
});
await on("both enter a room that did not exist", async () => {
  await enter(iris, "Iris");
  await enter(jack, "Jack");
});
await on("what one says, both see", async () => {
  await say(iris, "Tea is ready <&> 🫖");
  await iris.waitForSelector(shown("Tea is ready <&> 🫖"));
  await jack.waitForSelector(shown("Tea is ready <&> 🫖"));
  await say(jack, "Coming!");
  await iris.waitForSelector(shown("Coming!"));
});
await on("a picture is uploaded and shown to the other", async () => {
  const file = { name: "tea pot.png", mimeType: "image/png", buffer: PICTURE };
  await iris.setInputFiles("input.fileupload", file);
  const image = 'converse-chat-message img[src*="/upload/"]';
  await jack.waitForSelector(image, { state: "attached" });
  await jack.waitForFunction((image) => {
    const found = document.querySelector(image);
    return found.complete && found.naturalWidth === 1;
  }, image);
});
await on("after a reload the session goes on and the history is there", async () => {
  await iris.reload();
  await iris.waitForFunction(() => window.api?.connection?.connected?.());
  await iris.waitForSelector(shown("Coming!"));
  await iris.waitForSelector(shown("Tea is ready <&> 🫖"));
  await say(iris, "Still here");
  await jack.waitForSelector(shown("Still here"));
});
await on("who comes with an empty browser finds the history in the archive", async () => {
  const fresh = await visit(browser, "fresh");
  await login(fresh, "jack");
  await enter(fresh, "Jack");
  await fresh.waitForSelector(shown("Tea is ready <&> 🫖"));
  await fresh.waitForSelector(shown("Still here"));
});
await browser.close();
server.close();
process.exit(outcome());
