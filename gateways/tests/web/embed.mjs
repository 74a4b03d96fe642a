// `<klatsch-chat>` in pages of other origins: where the server names the origin, and where it does not.
//
//   node gateways/tests/web/embed.mjs
//
// Environment: see harness.mjs.

import { createServer } from "node:http";
import {
  accessible, addAccounts, ADDRESS, complaints, configure, expect, finish, ORIGIN, picture, startServer, step, until, visit,
} from "./harness.mjs";
import { conversation, message, say } from "./talking.mjs";

/** The page of ops/docs/embedding.md, around the element. */
const PAGE = `<!doctype html>
<html lang="en">
  <head><meta charset="utf-8" /><title>Intranet</title><script type="module" src="${ORIGIN}/klatsch-chat.js"></script></head>
  <body>
    <main>
      <h1>Intranet</h1>
      <p>Unread: <output>?</output></p>
      <klatsch-chat jid="bert@localhost" theme="dark" label="Chat with Bert" style="width: 22rem; height: 36rem"></klatsch-chat>
    </main>
  </body>
</html>`;

/** A server of pages at an address of its own; the answer is its origin. */
async function serve(address) {
  const server = createServer((_, response) => response.writeHead(200, { "content-type": "text/html" }).end(PAGE));
  await new Promise((done) => server.listen(0, address, done));
  return { origin: `http://${address}:${server.address().port}`, close: () => server.close() };
}

// The same site, as mail and chat of one organisation are; and one that nobody has named.
const named = await serve(ADDRESS);
const stranger = await serve(ADDRESS);
configure({ web: { embed_origins: [named.origin] } });
addAccounts("anna", "bert");
await startServer();

const bert = await visit("bert");
await bert.locator("input[autocomplete=username]").fill("bert");
await bert.locator("input[autocomplete=current-password]").fill("password-of-bert");
await bert.locator("form button[type=submit]").click();
await bert.locator(".sidebar").waitFor();

const page = await visit("intranet", {
  url: `${named.origin}/`,
  init: () => addEventListener("unread", ({ detail }) => (document.querySelector("output").textContent = detail), { capture: true }),
});
const frame = page.frameLocator("klatsch-chat iframe");

await step("the page shows the chat, which has its own door", async () => {
  await frame.locator("input[autocomplete=username]").fill("anna");
  await frame.locator("input[autocomplete=current-password]").fill("password-of-anna");
  await frame.locator("form button[type=submit]").click();
  await frame.locator(".composer textarea").waitFor();
  await frame.locator("header .name", { hasText: "bert" }).waitFor();
});

await step("what the page asks for is done: the conversation, and the look", async () => {
  const chat = page.frames().find((it) => it.url().startsWith(`${ORIGIN}/chat/`));
  expect((await chat.evaluate(() => document.documentElement.dataset.theme)) === "dark", "it is not dark");
  await page.locator("klatsch-chat").evaluate((it) => it.setAttribute("theme", "light"));
  await until(() => chat.evaluate(() => document.documentElement.dataset.theme === "light"), "it becomes light");
  await accessible(page, "a page with the element");
});

await step("people talk through it, and the page is told how much is unread", async () => {
  await frame.locator(".composer textarea").fill("Hello from the intranet");
  await frame.locator(".composer textarea").press("Enter");
  await conversation(bert, /anna/).first().click();
  await message(bert, "Hello from the intranet").waitFor();
  await page.locator("klatsch-chat").evaluate((it) => it.open("carla@localhost"));
  await frame.locator("header .name", { hasText: "carla" }).waitFor();
  await say(bert, "Are you there?");
  await page.locator("output", { hasText: /^1$/ }).waitFor();
  expect((await page.locator("klatsch-chat").evaluate((it) => it.unread)) === 1, "the property says something else");
  await page.locator("klatsch-chat").evaluate((it) => it.open("bert@localhost"));
  await frame.locator("li.row", { hasText: "Are you there?" }).waitFor();
  await picture(page, "embedded");
});

await step("the page reads nothing of it, and commands of a foreign shape do nothing", async () => {
  const readable = await page.evaluate(() => {
    try {
      return document.querySelector("klatsch-chat").shadowRoot.querySelector("iframe").contentDocument !== null;
    } catch {
      return true;
    }
  });
  expect(!readable, "the page reads the chat");
  await page.evaluate(() => {
    const { contentWindow } = document.querySelector("klatsch-chat").shadowRoot.querySelector("iframe");
    for (const odd of [null, 1, "open", { klatsch: 2, type: "open", jid: "x@localhost" }, { klatsch: 1, type: "open", jid: "<b>" }, { klatsch: 1, type: "eval" }]) {
      contentWindow.postMessage(odd, "*");
    }
  });
  await frame.locator("header .name", { hasText: "bert" }).waitFor();
});

await step("a page of an origin that the server does not name shows nothing", async () => {
  const other = await visit("stranger", { url: `${stranger.origin}/` });
  const policy = await until(() => complaints.find((it) => it.startsWith("stranger:") && it.includes("frame-ancestors")), "the browser refuses");
  expect(/Content Security Policy/.test(policy), policy);
  // What was to be refused is no complaint.
  complaints.splice(0, complaints.length, ...complaints.filter((it) => !it.startsWith("stranger:")));
  const frames = other.frames().filter((it) => it.url().startsWith(ORIGIN));
  expect(frames.length === 0, `it is shown: ${frames.map((it) => it.url())}`);
  expect((await other.frameLocator("klatsch-chat iframe").locator("input").count()) === 0, "the door is shown");
  await other.context().close();
});

await step("the whole client is shown in no frame at all", async () => {
  const answer = await fetch(`${ORIGIN}/`);
  expect(answer.headers.get("content-security-policy").includes("frame-ancestors 'none'"), "it may be framed");
});

named.close();
stranger.close();
await finish();
