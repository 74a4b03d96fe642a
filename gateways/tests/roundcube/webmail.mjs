// People in a real webmail with a real klatsch beside it: how others see them, who is there, a chat at the
// foot of the page, and mail that does without all of it.
//
//   KLATSCH_SLIXMPP=PYTHON KLATSCH_LAB=FOLDER node gateways/tests/roundcube/webmail.mjs
//
// Jane uses slixmpp, told what to do line by line. Environment: see run.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import {
  accessible, ADDRESS, command, complaints, configure, expect, finish, ORIGIN, picture, startServer, step, stopServer, until, visit, work,
} from "../web/harness.mjs";
import { composer, message } from "../web/talking.mjs";
import { addContact, CHAT, complaintsOfPhp, deliver, forward, JANE, JOHN, MAIL, setLanguage, settle, startMail, stopMail } from "./mailbox.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
/** A page asks twice a minute. */
const POLL_MS = 45_000;
/** What the dock sees is shown long before that. */
const LIVE_MS = 8_000;

configure({ listen: { c2s: `${ADDRESS}:5222` }, web: { embed_origins: [MAIL] } }, ["example.org"]);
for (const { address, password } of [JOHN, JANE]) command("user", "add", address, "--password", password);
await startServer();
await forward(ADDRESS, 5280);
startMail(ORIGIN);
const morning = new Date("2026-11-23T08:00:00Z");
const later = (minutes) => new Date(morning.getTime() + minutes * 60_000);
deliver({ from: `Jane Poe <${JANE.address}>`, to: `John Doe <${JOHN.address}>, Carla <carla@elsewhere.example>`, subject: "Minutes", text: "Good morning John,\n\nhere they are.\n\nJane", at: morning });
deliver({ from: "Stranger <stranger@elsewhere.example>", subject: "An offer", text: "Buy now.", at: later(10) });
deliver({ from: `"<img src=x onerror=alert(1)>" <${JANE.address}>`, subject: "Odd name", text: "Never mind.", at: later(20) });
await settle(3);

/** A client of somebody's: tells it to do something; what came of it. */
function slixmpp({ address, password }) {
  const program = spawn(process.env.KLATSCH_SLIXMPP ?? "python3", [join(here, "../web/slixmpp_person.py"), address, password], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, KLATSCH_ADDRESS: ADDRESS, SSL_CERT_FILE: join(work, "data/certificate.pem") },
  });
  const answers = createInterface({ input: program.stdout })[Symbol.asyncIterator]();
  const tell = async (what, more = {}) => {
    program.stdin.write(`${JSON.stringify({ do: what, ...more })}\n`);
    const { value, done } = await answers.next();
    expect(!done, "slixmpp has ended");
    const { done: result, failed } = JSON.parse(value);
    expect(failed === undefined, `${address}, ${what}: ${failed}`);
    return result;
  };
  const end = () => new Promise((done) => (program.once("exit", done), program.stdin.end()));
  return { tell, end };
}

/** Whatever the page was sent, and what it sent: nobody's password is to be in it but in the login itself. */
const seen = [];
function watch(page) {
  page.on("request", (request) => {
    if (!request.url().endsWith("/?_task=login") && request.postData()) seen.push([request.url(), request.postData()]);
  });
  page.on("response", async (response) => {
    const kind = response.headers()["content-type"] ?? "";
    seen.push([response.url(), JSON.stringify(response.headers())]);
    if (/html|json|text|xml/.test(kind) && !/\.(js|css)/.test(response.url())) seen.push([response.url(), await response.text().catch(() => "")]);
  });
  page.on("websocket", (socket) => {
    for (const event of ["framesent", "framereceived"]) socket.on(event, ({ payload }) => seen.push([socket.url(), `${payload}`]));
  });
}

async function logIn(page) {
  await page.fill("#rcmloginuser", JOHN.address);
  await page.fill("#rcmloginpwd", JOHN.password);
  await page.click("#rcmloginsubmit");
  await row(page, "Minutes").waitFor();
}

const row = (page, subject) => page.locator("#messagelist tr.message", { hasText: subject });
const preview = (page) => page.frameLocator("#messagecontframe");
const chat = (page) => page.frameLocator("#klatsch-frame");
const button = (page) => page.locator("#klatsch-button");
const dock = (page) => page.locator("#klatsch-dock");

/** The frame with the chat, as far as it is loaded. */
const inFrame = (page) => page.frames().find((it) => it.url().startsWith(CHAT));

/** Tells, inside of the frame, whether its browser has written something down. */
async function isKept(text) {
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((done) => (indexedDB.open(name).onsuccess = ({ target }) => done(target.result)));
    const all = database.transaction("conversations").objectStore("conversations").getAll();
    const found = await new Promise((done) => (all.onsuccess = () => done(JSON.stringify(all.result).includes(text))));
    database.close();
    if (found) return true;
  }
  return false;
}

/** Names, inside of the frame, what its browser still knows of somebody. */
async function whatIsKept() {
  const found = Object.keys(localStorage).filter((it) => /session|guest|agent/.test(it));
  for (const { name } of await indexedDB.databases()) {
    const database = await new Promise((done) => (indexedDB.open(name).onsuccess = ({ target }) => done(target.result)));
    for (const store of database.objectStoreNames) {
      const counting = database.transaction(store).objectStore(store).count();
      const count = await new Promise((done) => (counting.onsuccess = () => done(counting.result)));
      if (count > 0) found.push(`${count} in ${name}/${store}`);
    }
    database.close();
  }
  return found;
}

/** Opens a mail in the preview. */
async function read(page, subject) {
  await row(page, subject).locator("td.subject .subject a").first().click();
  await preview(page).locator("#message-header", { hasText: subject }).waitFor();
}

async function show(page, which) {
  await button(page).click();
  await page.locator(`#klatsch-show-${which}`).click();
}

const jane = slixmpp(JANE);
await step("john and jane are on each other's lists", async () => {
  const john = slixmpp(JOHN);
  await john.tell("login");
  await jane.tell("login");
  await john.tell("befriend", { who: JANE.address });
  await jane.tell("grant", { who: JOHN.address });
  await jane.tell("befriend", { who: JOHN.address });
  await john.tell("grant", { who: JANE.address });
  await jane.tell("sees", { who: JOHN.address, show: "online" });
  for (const one of [john, jane]) {
    await one.tell("logout");
    await one.end();
  }
});

const john = await visit("john", { url: "about:blank" });
watch(john);
await john.goto(MAIL);

await step("john logs in to his mail: jane is offline, and strangers have no dot", async () => {
  await logIn(john);
  await row(john, "Minutes").locator(".klatsch-dot[data-show=offline]").waitFor();
  expect((await row(john, "An offer").locator(".klatsch-dot:not([hidden])").count()) === 0, "a stranger is shown");
  await read(john, "Minutes");
  await preview(john).locator(".klatsch-dot[data-show=offline]").first().waitFor();
});

const again = slixmpp(JANE);
await step("john is there for jane without doing anything, and her dot turns as she comes", async () => {
  await again.tell("login");
  await again.tell("sees", { who: JOHN.address, show: "online" });
  // The dock's own connection says it: nobody waits for the next question.
  await preview(john).locator("button.klatsch-dot[data-show=online]").first().waitFor({ timeout: LIVE_MS });
  await row(john, "Minutes").locator(".klatsch-dot[data-show=online]").waitFor({ timeout: LIVE_MS });
  await picture(john, "webmail");
});

await step("john says that he is away, and jane's client sees it", async () => {
  await show(john, "away");
  await again.tell("sees", { who: JOHN.address, show: "away" });
  await button(john).locator(".klatsch-dot[data-show=away]").waitFor();
  expect(/Away/.test(await button(john).getAttribute("aria-label")), "the button does not say it");
});

await step("a click on jane's dot opens a chat, and they talk both ways", async () => {
  await preview(john).locator("button.klatsch-dot").first().click();
  await chat(john).locator("header .name", { hasText: /jane/i }).waitFor();
  await composer(chat(john)).fill("Good morning Jane");
  await composer(chat(john)).press("Enter");
  await again.tell("wait", { event: "message", body: "Good morning Jane" });
  await again.tell("chat", { to: JOHN.address, body: "Good morning John" });
  await message(chat(john), "Good morning John").waitFor();
  await picture(john, "webmail-chat");
});

await step("the chat, its draft and what was said go along to another page", async () => {
  await composer(chat(john)).fill("About the min");
  await until(() => inFrame(john).evaluate(isKept, "About the min"), "the draft is kept");
  await john.locator("#taskmenu a.contacts").click();
  await john.waitForURL(/_task=addressbook/);
  await chat(john).locator("header .name", { hasText: /jane/i }).waitFor();
  await until(async () => (await composer(chat(john)).inputValue()) === "About the min", "the draft is there");
  await message(chat(john), "Good morning John").waitFor();
  await john.locator("#taskmenu a.mail").click();
  await row(john, "Minutes").waitFor();
  await message(chat(john), "Good morning Jane").waitFor();
  await chat(john).locator("header .hint", { hasText: "Available" }).waitFor();
});

await step("contacts have dots, too, and writing to them stays a click", async () => {
  addContact("Jane Poe", JANE.address);
  addContact("Stranger", "stranger@elsewhere.example");
  await john.locator("#taskmenu a.contacts").click();
  const contact = (name) => john.locator("#contacts-table tr.contact", { hasText: name });
  await contact("Jane Poe").locator(".klatsch-dot[data-show=online]").waitFor();
  expect((await contact("Stranger").locator(".klatsch-dot:not([hidden])").count()) === 0, "a stranger is shown");
  await contact("Jane Poe").locator(".klatsch-name").click();
  const card = john.frameLocator("#contact-frame");
  await card.locator("button.klatsch-dot[data-show=online]").waitFor();
  expect((await card.locator(`a[href='mailto:${JANE.address}']`).count()) === 1, "the address is no link any more");
  await picture(john, "webmail-contacts");
  await john.locator("#taskmenu a.mail").click();
  await row(john, "Minutes").waitFor();
});

await step("whoever has a chat address in their card is seen and talked to there", async () => {
  addContact("Jane at home", "jane@private.example", `X-JABBER:${JANE.address}\n`);
  deliver({ from: "Jane <jane@private.example>", subject: "From home", text: "Hello.", at: later(30) });
  await john.goto(`${MAIL}/?_task=mail`);
  // What the cards said is remembered for ten minutes, so this is another login.
  await john.locator("#taskmenu a.logout").click();
  await logIn(john);
  await row(john, "From home").locator(".klatsch-dot[data-show=online]").waitFor({ timeout: POLL_MS });
  await read(john, "From home");
  await preview(john).locator("button.klatsch-dot").first().click();
  await dock(john).locator(".klatsch-tab button", { hasText: "jane.poe" }).waitFor();
  await chat(john).locator("header .name", { hasText: /jane/i }).waitFor();
});

await step("recipients of a mail that is being written have dots", async () => {
  await john.goto(`${MAIL}/?_task=mail&_action=compose&_to=${encodeURIComponent(`Jane Poe <${JANE.address}>`)}`);
  const one = (text) => john.locator("li.recipient", { hasText: text });
  await one("Jane Poe").locator(".klatsch-dot[data-show=online]").waitFor({ timeout: POLL_MS });
  const input = john.locator("#compose_to input").first();
  // Recipients are taken out of what is typed, key by key.
  await input.pressSequentially("stranger@elsewhere.example,");
  await one("stranger").waitFor();
  expect((await one("stranger").locator(".klatsch-dot:not([hidden])").count()) === 0, "a stranger is shown");
  // The dot is no part of the address.
  const to = await john.locator("#_to").inputValue();
  expect(/^Jane Poe <jane\.poe@example\.org>, ?stranger@elsewhere\.example,? ?$/.test(to), to);
  await picture(john, "webmail-compose");
  await john.goto(`${MAIL}/?_task=mail`);
  await row(john, "Minutes").waitFor();
});

await step("what comes while the dock is folded is counted at the button", async () => {
  await dock(john).locator(".klatsch-fold").click();
  await chat(john).locator(".composer").waitFor({ state: "hidden" });
  await again.tell("chat", { to: JOHN.address, body: "Are you there?" });
  await button(john).locator(".klatsch-badge", { hasText: /^1$/ }).waitFor();
  await dock(john).locator(".klatsch-fold").click();
  await message(chat(john), "Are you there?").waitFor();
  await composer(chat(john)).click();
  await button(john).locator(".klatsch-badge").waitFor({ state: "hidden" });
});

await step("whoever has no account is told from who has", async () => {
  await read(john, "An offer");
  await preview(john).locator("#klatsch-sender").click();
  await john.locator("#messagestack", { hasText: "You have no chat with" }).waitFor();
});

await step("a name is text, whatever stands in it, and no proof", async () => {
  await dock(john).locator(".klatsch-tab .klatsch-close").click();
  await dock(john).waitFor({ state: "hidden" });
  await read(john, "Odd name");
  const dot = preview(john).locator("button.klatsch-dot").first();
  expect((await dot.getAttribute("aria-label")).startsWith("<img src=x"), "the dot does not say whose it is");
  await dot.click();
  // Whoever wrote the name may have lied: the dock says the address.
  await dock(john).locator(".klatsch-tab button", { hasText: "jane.poe" }).waitFor();
});

await step("everything can be done with the keyboard, and is said to screen readers", async () => {
  await accessible(john, "the dock", "'#klatsch-dock > header'");
  await button(john).focus();
  await john.keyboard.press("Enter");
  await john.locator("#klatsch-show-dnd").waitFor();
  await john.locator("#klatsch-show-away[aria-pressed=true]").waitFor();
  await accessible(john, "the menu", "'#klatsch-menu'");
  await picture(john, "webmail-menu");
  await john.locator("#klatsch-show-dnd").focus();
  await john.keyboard.press("Enter");
  await again.tell("sees", { who: JOHN.address, show: "dnd" });
  await read(john, "Minutes");
  await preview(john).locator("button.klatsch-dot").first().focus();
  await john.keyboard.press("Enter");
  await chat(john).locator("header .name", { hasText: /jane/i }).waitFor();
  await dock(john).locator(".klatsch-fold").focus();
  await john.keyboard.press("Escape");
  await until(async () => (await dock(john).getAttribute("class")) === "shown", "it folds");
});

await step("h13_no page, answer, frame or storage holds a password, and no address a token", async () => {
  const encoded = Buffer.from(`${JOHN.address}:${JOHN.password}`).toString("base64");
  for (const frame of john.frames()) {
    seen.push([frame.url(), await frame.content()]);
    seen.push([`storage of ${frame.url()}`, await frame.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))]);
  }
  seen.push(["what scripts know", await john.evaluate(() => JSON.stringify(rcmail.env))]);
  expect(seen.length > 50, `only ${seen.length} answers were looked at`);
  const found = seen.filter(([, text]) => text.includes(JOHN.password) || text.includes(encoded) || text.includes(encodeURIComponent(JOHN.password)));
  expect(found.length === 0, `in ${found.map(([where]) => where).join(", ")}`);
  const tokens = seen.flatMap(([where, text]) => (where.includes("klatsch.token") ? (/"token":"([^"]+)"/.exec(text)?.[1] ?? []) : []));
  expect(tokens.length > 1, "no token was handed out");
  expect(new Set(tokens).size === tokens.length, "a token was handed out twice");
  const shown = seen.filter(([where, text]) => tokens.some((it) => where.includes(it) || (text.includes(it) && !where.includes("klatsch.token"))));
  expect(shown.length === 0, `a token is in ${shown.map(([where]) => where).join(", ")}`);
});

await step("h10_a token is minted for our own page alone", async () => {
  const url = `${MAIL}/?_task=utils&_action=plugin.klatsch.token&_remote=1`;
  // With the cookie, as another page's form or script could: no header, no token.
  for (const options of [{ method: "GET" }, { method: "POST" }, { method: "POST", form: { _show: "away" } }, { method: "POST", headers: { "X-Roundcube-Request": "x" } }]) {
    const answer = await john.context().request.fetch(url, options);
    expect(!(await answer.text()).includes('"token"'), `${JSON.stringify(options)} got a token`);
  }
});

await step("klatsch stops, and the mail works on", async () => {
  await stopServer();
  await john.goto(`${MAIL}/?_task=mail`);
  await row(john, "Minutes").waitFor();
  await until(async () => /klatsch-down/.test(await button(john).getAttribute("class")), "the button says it");
  const begin = performance.now();
  await read(john, "An offer");
  await read(john, "Minutes");
  expect(performance.now() - begin < 10_000, "mails are slow to open");
  expect((await john.locator("#messagestack .alert-danger, #messagestack .error").count()) === 0, "the mail complains");
  expect((await john.locator("#messagelist .klatsch-dot:not([hidden])").count()) === 0, "somebody is shown");
  await button(john).click();
  await john.locator("#klatsch-menu .klatsch-quiet").waitFor();
  await picture(john, "webmail-down");
  await john.keyboard.press("Escape");
});

await step("klatsch is there again, and so is the chat", async () => {
  await startServer();
  await button(john).locator(".klatsch-dot:not([hidden])").waitFor({ timeout: 2 * POLL_MS });
});

await step("whoever logs out leaves nothing of the chat in the browser", async () => {
  await chat(john).locator(".sidebar, .composer").first().waitFor({ state: "attached" });
  await until(async () => (await inFrame(john).evaluate(() => indexedDB.databases())).length > 0, "something is kept");
  await john.locator("#taskmenu a.logout").click();
  await john.locator("#rcmloginuser").waitFor();
  // A frame of the same origin in the same place sees what was left.
  await john.evaluate((origin) => document.body.append(Object.assign(document.createElement("iframe"), { src: `${origin}/chat/` })), CHAT);
  const left = await until(() => inFrame(john), "a frame");
  await left.waitForLoadState();
  const kept = await left.evaluate(whatIsKept);
  expect(kept.length === 0, `kept: ${kept.join(", ")}`);
});

for (const [name, language, options] of [["dark", "en_GB", { colorScheme: "dark" }], ["german", "de_DE", { locale: "de-DE" }]]) {
  await step(`it is looked at: ${name}`, async () => {
    setLanguage(language);
    const page = await visit(name, { url: MAIL, ...options });
    await logIn(page);
    await read(page, "Minutes");
    await preview(page).locator("button.klatsch-dot:not([hidden])").first().click();
    await message(chat(page), "Good morning John").waitFor();
    const labels = await dock(page).locator(".klatsch-fold").getAttribute("aria-label");
    expect(/chat/i.test(labels) && (name !== "german" || /verkleinern/.test(labels)), labels);
    await button(page).click();
    await page.locator("#klatsch-show-away").waitFor();
    await picture(page, `webmail-${name}`);
    await page.context().close();
  });
}

await step("PHP has nothing to complain of", async () => expect(complaintsOfPhp().length === 0, complaintsOfPhp().join("\n")));
// Nobody could be reached for a while: that was the step.
complaints.splice(0, complaints.length, ...complaints.filter((it) => !/ERR_CONNECTION_REFUSED/.test(it)));
await again.end().catch(() => {});
await stopMail();
await finish();
