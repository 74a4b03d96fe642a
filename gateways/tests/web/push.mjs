// Somebody is told while nobody looks: from a message, through the server and a push service on this
// machine, to the service worker in a real browser, its notification, and the click on it.
//
//   node gateways/tests/web/push.mjs
//
// Chromium without a window has no push service of its own: the page is given a subscription whose
// endpoint is ours and whose keys we have, and what is decrypted goes to the service worker through
// the DevTools protocol. All else is the browser's and the server's. Needs openssl.

import {
  addAccounts, ADDRESS, configure, expect, finish, openPage, ORIGIN, picture, signIn, startServer, step, until, visit, work,
} from "./harness.mjs";
import { makeBrowser, startPushService, verifySender } from "./push_service.mjs";
import { conversation, message, say } from "./talking.mjs";

const service = await startPushService(ADDRESS, work);
configure({ web_push: { hosts: [service.host], private_addresses: true, authorities: service.authority } });
addAccounts("anna", "bert");
await startServer();
const { features } = await (await fetch(`${ORIGIN}/config.json`)).json();
const keys = makeBrowser();

/** Gives pages a subscription, as the browser's push service would. */
function subscribe({ endpoint, p256dh, auth }) {
  let subscription;
  PushManager.prototype.getSubscription = async () => subscription;
  PushManager.prototype.subscribe = async ({ applicationServerKey }) => {
    globalThis.subscribedWith = [...new Uint8Array(applicationServerKey)];
    subscription = {
      endpoint,
      toJSON: () => ({ endpoint, keys: { p256dh, auth } }),
      unsubscribe: async () => ((subscription = undefined), true),
    };
    return subscription;
  };
}
const made = { endpoint: `${service.origin}/to/anna`, p256dh: keys.p256dh, auth: keys.auth };
let anna = await visit("anna", { init: `(${subscribe})(${JSON.stringify(made)})`, permissions: ["notifications"] });
const context = anna.context();
const bert = await visit("bert", { locale: "de-DE" });

await step("two contacts, one of whom wants to be told", async () => {
  await signIn(anna, "anna");
  await signIn(bert, "bert");
  await anna.getByRole("button", { name: "Add a contact" }).first().click();
  await anna.getByLabel("Address").fill("bert");
  await anna.getByLabel("Name (optional)").fill("Bert Weber");
  await anna.getByRole("button", { name: "Add", exact: true }).click();
  await bert.getByRole("button", { name: "Annehmen" }).first().click();
  await anna.locator("header .hint", { hasText: "Available" }).waitFor();
  await anna.getByRole("button", { name: "Settings", exact: true }).click();
  await anna.getByRole("tab", { name: "Notifications" }).click();
  const wish = anna.getByRole("switch", { name: /Notifications/ }).first();
  if ((await wish.getAttribute("aria-checked")) !== "true" && !(await wish.isChecked().catch(() => false))) await wish.click();
  await anna.keyboard.press("Escape");
  const key = await until(() => anna.evaluate(() => globalThis.subscribedWith), "the page subscribes");
  expect(Buffer.from(key).toString("base64url") === features.push.key, "with another key than the server's");
});

let worker;
await step("the service worker knows the conversation by its name", async () => {
  await conversation(bert, /anna/).first().click();
  await say(bert, "Before you go");
  await conversation(anna, /Bert Weber/).first().click();
  await message(anna, "Before you go").waitFor();
  worker = context.serviceWorkers()[0] ?? (await context.waitForEvent("serviceworker"));
  const told = () =>
    worker.evaluate(async () => {
      // Not to be made here: the page does, with what is in it.
      if (!(await indexedDB.databases()).some(({ name }) => name === "klatsch-worker")) return undefined;
      const answer = (request) => new Promise((done) => (request.onsuccess = () => done(request.result)));
      const base = await answer(indexedDB.open("klatsch-worker"));
      const found = await answer(base.transaction("told").objectStore("told").get("now"));
      base.close();
      return found;
    });
  await until(async () => Object.values((await told())?.conversations ?? {}).some(({ name }) => name === "Bert Weber"), "the name is told");
});

let pushed;
await step("with her page closed the server tells her push service, and says who it is", async () => {
  // Something else lies open, so that the browser stays.
  const other = await openPage("other", context, "about:blank");
  await anna.close();
  anna = other;
  await say(bert, "Are you still there?");
  const { path, headers, body } = await service.next();
  expect(path === "/to/anna", path);
  expect(headers["content-encoding"] === "aes128gcm", headers["content-encoding"]);
  expect(Number(headers.ttl) > 0, headers.ttl);
  verifySender(headers, features.push.key, service.origin);
  pushed = keys.open(body);
  const { kind, count } = JSON.parse(pushed);
  expect(kind === "message" && count >= 1, pushed);
  expect(!pushed.includes("still there"), `the text goes through a stranger's hands: ${pushed}`);
});

/** Hands a push message to the service worker, as the browser's push service would. */
async function deliver(data) {
  const devtools = await context.newCDPSession(anna);
  const registration = new Promise((done) => {
    devtools.on("ServiceWorker.workerRegistrationUpdated", ({ registrations }) => {
      const ours = registrations.find(({ scopeURL, isDeleted }) => scopeURL === `${ORIGIN}/` && !isDeleted);
      if (ours) done(ours.registrationId);
    });
  });
  await devtools.send("ServiceWorker.enable");
  await devtools.send("ServiceWorker.deliverPushMessage", { origin: ORIGIN, registrationId: await registration, data });
  await devtools.detach();
}

const notifications = () =>
  worker.evaluate(async () => (await self.registration.getNotifications()).map(({ title, body, tag, data }) => ({ title, body, tag, data })));

await step("the service worker shows whom it is from, and not what", async () => {
  await deliver(pushed);
  const [shown] = await until(async () => {
    const all = await notifications();
    return all.length > 0 && all;
  }, "a notification");
  expect(shown.title === "Bert Weber", JSON.stringify(shown));
  expect(/new message/i.test(shown.body), JSON.stringify(shown));
  expect(shown.data.jid === "bert@localhost", JSON.stringify(shown));
});

await step("what is no message of ours shows nothing", async () => {
  for (const odd of ["", "no JSON", "[]", '{"conversation":1}', '{"kind":"message"}']) await deliver(odd);
  // They are heard in order: after the next one nothing of them can come.
  await deliver(JSON.stringify({ conversation: "unknown", kind: "message", count: 2 }));
  const all = await until(async () => {
    const now = await notifications();
    return now.some(({ tag }) => tag === "unknown") && now;
  }, "the last of them");
  expect(all.length === 2, JSON.stringify(all));
});

/**
 * Clicks on the notification of a conversation. There is no window to click in: the worker is told of
 * a click as the browser tells it, and lets windows open and come to the front, as after a click.
 */
const click = (tag) =>
  worker.evaluate(async (tag) => {
    const [notification] = await self.registration.getNotifications({ tag });
    let opened;
    self.clients.openWindow = async (url) => void (opened = url);
    self.WindowClient.prototype.focus = async function () {
      return this;
    };
    const event = new NotificationEvent("notificationclick", { notification });
    let done;
    event.waitUntil = (work) => void (done = work);
    self.dispatchEvent(event);
    await done;
    return { opened, left: (await self.registration.getNotifications({ tag })).length };
  }, tag);

await step("a click on it opens the conversation, and takes the notification away", async () => {
  const { opened, left } = await click("bert@localhost");
  expect(left === 0, "it still lies there");
  expect(opened === `/#${encodeURIComponent("bert@localhost")}`, opened);
  await anna.goto(new URL(opened, ORIGIN).href);
  await anna.locator("header .name", { hasText: "Bert Weber" }).waitFor();
  await message(anna, "Are you still there?").waitFor();
  await picture(anna, "pushed");
});

await step("where a page is open but not looked at, the click shows it there", async () => {
  await anna.goto(`${ORIGIN}/#`);
  await anna.locator(".sidebar").waitFor();
  const isFocused = await worker.evaluate(async () => (await self.clients.matchAll({ type: "window", includeUncontrolled: true })).some(({ focused }) => focused));
  if (isFocused) {
    await deliver(pushed);
    console.log("   the page counts as looked at: it tells by itself");
    expect((await notifications()).every(({ tag }) => tag !== "bert@localhost"), "shown twice");
    await worker.evaluate(() => self.registration.showNotification("Bert Weber", { tag: "bert@localhost", data: { jid: "bert@localhost" } }));
  } else {
    await deliver(pushed);
    await until(async () => (await notifications()).some(({ tag }) => tag === "bert@localhost"), "a notification");
  }
  const { opened } = await click("bert@localhost");
  expect(opened === undefined, `a second window: ${opened}`);
  await anna.locator("header .name", { hasText: "Bert Weber" }).waitFor();
});

await step("whoever signs out is told no more", async () => {
  await anna.getByRole("button", { name: "Settings", exact: true }).click();
  await anna.getByRole("button", { name: "Sign out" }).click();
  await anna.locator(".leave .actions").getByRole("button", { name: "Sign out" }).click();
  await anna.locator("input[autocomplete=username]").waitFor();
  const left = await until(async () => (await anna.evaluate(async () => (await (await navigator.serviceWorker.ready).pushManager.getSubscription()) === undefined)) || undefined, "the subscription ends");
  expect(left, "still subscribed");
});

service.close();
await finish();
