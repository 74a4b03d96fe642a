// Two people use Strophe.js 5 in Chromium, over BOSH and over WebSocket, from a page of another
// origin, as web pages do that bring their own client.
//
// Proves: login (SCRAM by the browser's own cryptography, which the browser lets through only
// with the answers to its preflight), roster, presence, a message each way between the two
// transports, pings, many messages in a row in their order, an error, an orderly end; on BOSH
// also a session that a reloaded page goes on with (XEP-0124's sid and rid are kept, as
// Strophe's restore does), and an answer that is lost and asked for again.
//
// Accounts: gina and hugo @localhost with the passwords pw-gina and pw-hugo.

import { join } from "node:path";
import process from "node:process";
import { ADDRESS, expect, launch, outcome, serve, steps, visit } from "./browser.mjs";

const BOSH = "https://localhost:5443/http-bind";
const WEBSOCKET = "wss://localhost:5443/xmpp-websocket";

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Strophe</title>
<link rel="icon" href="data:,">
<script src="/strophe/strophe.umd.min.js"></script>
<script>
const { Strophe, $iq, $msg, $pres } = window.strophe ?? window;

/** Everything that came, until it is looked for. */
const heard = [];
let waiting = () => {};
let connection;

function listen(stanza) {
  heard.push(stanza);
  waiting();
  return true;
}

function begin(service) {
  connection = new Strophe.Connection(service, { keepalive: true });
  window.statuses = [];
  return new Promise((resolve, reject) => {
    window.onStatus = (status, condition) => {
      window.statuses.push([status, condition]);
      if (status === Strophe.Status.CONNECTED || status === Strophe.Status.ATTACHED) {
        connection.addHandler(listen);
        resolve(connection.jid);
      }
      const { AUTHFAIL, CONNFAIL, DISCONNECTED } = Strophe.Status;
      if ([AUTHFAIL, CONNFAIL, DISCONNECTED].includes(status)) {
        reject(new Error("status " + status + " " + condition));
        window.onEnd?.();
      }
    };
  });
}

function login(service, jid, password) {
  const begun = begin(service);
  connection.connect(jid, password, (...what) => window.onStatus(...what));
  return begun;
}

function restore(service, jid) {
  const begun = begin(service);
  connection.restore(jid, (...what) => window.onStatus(...what));
  return begun;
}

function request(to, name, namespace) {
  const iq = $iq({ type: "get", ...(to && { to }) }).c(name, { xmlns: namespace });
  return new Promise((resolve, reject) => {
    connection.sendIQ(iq, (answer) => resolve(answer.outerHTML), (e) => reject(new Error(e?.outerHTML)));
  });
}

function say(to, text) {
  connection.send($msg({ to, type: "chat", id: connection.getUniqueId() }).c("body").t(text));
}

/** Takes the first stanza in which this stands; the others stay. */
async function got(text) {
  for (;;) {
    const at = heard.findIndex((stanza) => stanza.outerHTML.includes(text));
    if (at >= 0) return heard.splice(at, 1)[0].outerHTML;
    await new Promise((resolve) => { waiting = resolve; });
  }
}

function bodies() {
  return heard.flatMap((stanza) => [...stanza.querySelectorAll("message > body")].map((it) => it.textContent));
}

function leave() {
  const end = new Promise((resolve) => { window.onEnd = resolve; });
  connection.disconnect("done");
  return end;
}
</script>
</head>
<body></body>
</html>`;

const strophe = join(process.cwd(), "node_modules/strophe.js/dist");
const server = await serve(PAGE, { strophe });
const browser = await launch();
const gina = await visit(browser, "gina");
const hugo = await visit(browser, "hugo");
const step = steps("strophe", { gina, hugo });

const call = (page, name, ...values) =>
  page.evaluate(([name, values]) => window.eval(name)(...values), [name, values]);

async function conversation(label, service, other) {
  const on = (name, run) => step(`${label}: ${name}`, run);
  let ginasJid;
  await on("a wrong password is refused", async () => {
    const refused = await call(gina, "login", service, "gina@localhost", "wrong").catch((why) => why);
    expect(refused instanceof Error, `it got in: ${refused}`);
    await gina.reload();
  });
  await on("both log in and see their own presence", async () => {
    ginasJid = await call(gina, "login", service, "gina@localhost/web", "pw-gina");
    expect(ginasJid === "gina@localhost/web", ginasJid);
    await call(hugo, "login", other, "hugo@localhost/web", "pw-hugo");
    expect(/<query/.test(await call(gina, "request", null, "query", "jabber:iq:roster")), "no roster");
    for (const [page, jid] of [[gina, "gina@localhost/web"], [hugo, "hugo@localhost/web"]]) {
      await page.evaluate(() => connection.send($pres()));
      await call(page, "got", `from="${jid}"`);
    }
  });
  await on("a message each way", async () => {
    await call(gina, "say", "hugo@localhost", "Grüße <&> 🦊");
    await call(hugo, "got", "Grüße &lt;&amp;&gt; 🦊");
    await call(hugo, "say", ginasJid, "And back");
    await call(gina, "got", "And back");
  });
  await on("pings, and an error for an unknown account", async () => {
    await call(gina, "request", "localhost", "ping", "urn:xmpp:ping");
    await call(gina, "say", "nobody@localhost", "Hello?");
    expect(/service-unavailable/.test(await call(gina, "got", 'type="error"')), "another error");
  });
  await on("a hundred messages each way come in their order", async () => {
    const texts = Array.from({ length: 100 }, (_, at) => `number ${at}.`);
    for (const [from, to, jid] of [[gina, hugo, "hugo@localhost/web"], [hugo, gina, ginasJid]]) {
      await from.evaluate(([jid, texts]) => texts.forEach((text) => say(jid, text)), [jid, texts]);
      await to.waitForFunction(() => bodies().includes("number 99."));
      const got = await to.evaluate(() => bodies().filter((text) => text.startsWith("number")));
      expect(got.join() === texts.join(), got.join());
    }
  });
  return ginasJid;
}

let jid = await conversation("BOSH", BOSH, WEBSOCKET);
await step("BOSH: a lost answer is asked for again, and nothing is lost or twice", async () => {
  let lost = 0;
  await gina.route(BOSH, async (route) => {
    const isFirst = lost === 0;
    lost += 1;
    if (!isFirst) return route.continue();
    // The server takes the request and gives its answer; the page never sees it.
    await route.fetch({ url: BOSH.replace("localhost", ADDRESS) });
    return route.abort();
  });
  await call(gina, "say", "hugo@localhost/web", "Into the cut");
  await call(hugo, "got", "Into the cut");
  await call(gina, "request", "localhost", "ping", "urn:xmpp:ping");
  await call(hugo, "say", jid, "Out of it");
  await call(gina, "got", "Out of it");
  await gina.unroute(BOSH);
  expect(lost > 1, "nothing was lost");
  const again = await hugo.evaluate(() => bodies().includes("Into the cut"));
  expect(!again, "it arrived twice");
});
await step("BOSH: a reloaded page goes on with its session", async () => {
  // Unloading, Strophe pauses the session, and keeps what it needs for going on.
  await gina.reload();
  await call(hugo, "say", jid, "While you were away");
  const restored = await call(gina, "restore", BOSH, jid);
  expect(restored === jid, restored);
  await call(gina, "got", "While you were away");
  await call(gina, "request", "localhost", "ping", "urn:xmpp:ping");
});
const end = async (label) => {
  await step(`${label}: both leave, and are seen to`, async () => {
    await call(gina, "leave");
    await call(hugo, "leave");
  });
  await gina.reload();
  await hugo.reload();
};
await end("BOSH");
jid = await conversation("WebSocket", WEBSOCKET, BOSH);
await end("WebSocket");
await browser.close();
server.close();
process.exit(outcome());
