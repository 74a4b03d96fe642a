// Calls of the web client in a real browser through a real server: two people, three devices.
//
//   node gateways/tests/web/calls.mjs
//
// It builds a page with the client's calls (calls_page/), and drives Debian's Chromium with devices
// that are none: a beep and a moving picture. Environment: see harness.mjs and server.mjs. Prints PASS
// and FAIL lines; exits non-zero on any FAIL.

import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import {
  accessible, ADDRESS, addAccounts, command, configure, expect, finish, picture, startServer, step, STEP_MS, visit as open, WEB, whenFailed, work,
} from "./harness.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
// The packages are the client's own.
const { build } = await import(join(WEB, "node_modules/vite/dist/node/index.js"));
const { svelte } = await import(join(WEB, "node_modules/@sveltejs/vite-plugin-svelte/src/index.js"));

const PAGE = `http://${ADDRESS}:5281`;

/** Whether this server relays: one that does says so in its example of settings. */
const hasRelay = command("config", "example").includes("[turn]");
configure({
  http: { allowed_origins: [PAGE] },
  ...(hasRelay ? { listen: { stun: `${ADDRESS}:3478` }, turn: { addresses: [ADDRESS], allow_peers: ["127.0.0.0/8"] } } : {}),
});

// --- the page ---

/** The page lies outside of the client's folder, and uses its packages. */
const packages = {
  name: "packages-of-the-client",
  enforce: "pre",
  resolveId(id, importer) {
    const isPackage = /^(?:svelte|strophe\.js)(?:\/|$)/.test(id) && !importer?.includes("node_modules");
    return isPackage ? this.resolve(id, join(WEB, "src/main.ts"), { skipSelf: true }) : undefined;
  },
};

async function buildPage() {
  const outDir = join(work, "page");
  await build({
    configFile: false,
    root: join(here, "calls_page"),
    logLevel: "warn",
    plugins: [packages, svelte({ configFile: join(WEB, "svelte.config.js") })],
    build: { outDir, target: "es2022", emptyOutDir: true },
  });
  return outDir;
}

const TYPES = { ".css": "text/css", ".html": "text/html", ".js": "text/javascript" };

async function servePage(folder) {
  const server = createServer((request, response) => {
    const path = normalize(new URL(request.url, "http://page").pathname);
    const name = path === "/" ? "/index.html" : path;
    const file = createReadStream(join(folder, name));
    file.on("error", () => response.writeHead(404).end());
    file.on("open", () => {
      response.writeHead(200, { "content-type": TYPES[extname(name)] ?? "text/plain" });
      file.pipe(response);
    });
  });
  await new Promise((done) => server.listen(5281, ADDRESS, done));
  return server;
}

/** The connections of a page, so that they can be asked for what has come through them. */
function watchPeers() {
  globalThis.peers = [];
  globalThis.ufrag = () => /a=ice-ufrag:(\S+)/.exec(globalThis.peers.at(-1).localDescription.sdp)?.[1];
  const Original = globalThis.RTCPeerConnection;
  globalThis.RTCPeerConnection = class extends Original {
    constructor(...more) {
      super(...more);
      globalThis.peers.push(this);
    }
  };
}

async function visit(device, user, peer, wishes = "") {
  const who = [`${user}@localhost`, `password-of-${user}`, `${peer}@localhost`, `ws://${ADDRESS}:5280/xmpp-websocket`].join("|");
  const page = await open(device, {
    viewport: { width: 1100, height: 760 },
    permissions: ["microphone", "camera"],
    init: watchPeers,
    url: `${PAGE}/?${wishes}#${encodeURIComponent(who)}`,
  });
  await page.getByRole("heading", { name: peer }).waitFor();
  return page;
}

const pages = {};
whenFailed(async () => {
  for (const [who, page] of Object.entries(pages)) {
    console.log(who, await page.evaluate(() => JSON.stringify(globalThis.calls.call)).catch(String));
  }
});

/** Looks at a view: nothing that keeps somebody from using it, and a picture of it. */
async function looked(page, name) {
  await accessible(page, name, 'document.querySelector("dialog[open], section") ?? document');
  await picture(page, name);
}

/** Frames that a page has decoded in its pictures, and packets that it has heard. */
function received(page) {
  return page.evaluate(async () => {
    const peers = globalThis.peers.filter((peer) => peer.connectionState !== "closed");
    const sum = { frames: 0, packets: 0, relayed: 0 };
    for (const peer of peers) {
      for (const entry of (await peer.getStats()).values()) {
        if (entry.type === "inbound-rtp") {
          sum.frames += entry.framesDecoded ?? 0;
          sum.packets += entry.kind === "audio" ? entry.packetsReceived : 0;
        }
        if (entry.type === "local-candidate" && entry.candidateType === "relay") sum.relayed += 1;
      }
    }
    return sum;
  });
}

/** Waits until both have seen and heard more than they had: media flow both ways. */
async function flows(who, { frames, packets }) {
  const end = Date.now() + STEP_MS;
  const start = await Promise.all(who.map(received));
  for (;;) {
    const now = await Promise.all(who.map(received));
    const hasAll = now.every((it, index) => it.frames - start[index].frames >= frames && it.packets - start[index].packets >= packets);
    if (hasAll) return now;
    expect(Date.now() < end, `nothing flows: ${JSON.stringify(start)} then ${JSON.stringify(now)}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

const phase = (page, wanted) => page.waitForFunction((it) => globalThis.calls.call?.phase === it, wanted);
const entry = (page) => page.evaluate(() => globalThis.entries.at(-1));

async function hangUp(page, ...others) {
  await page.getByRole("button", { name: "Hang up" }).click();
  for (const it of [page, ...others]) await it.waitForFunction(() => !globalThis.calls.isBusy);
  for (const it of [page, ...others]) await it.waitForFunction(() => globalThis.calls.call === undefined);
}

// --- what is shown ---

addAccounts("anna", "bert");
await startServer();
const files = await servePage(await buildPage());
const { anna, bert, tablet } = Object.assign(pages, {
  anna: await visit("anna", "anna", "bert"),
  bert: await visit("bert", "bert", "anna"),
  tablet: await visit("tablet", "bert", "anna"),
});

await step("rings on both devices, is taken on one with video, and stops on the other", async () => {
  await anna.getByRole("button", { name: "Video call with bert" }).click();
  await tablet.getByRole("alertdialog").waitFor();
  await bert.getByRole("alertdialog").waitFor();
  await looked(bert, "ring");
  await bert.getByRole("button", { name: "Answer with video" }).click();
  await tablet.getByRole("alertdialog").waitFor({ state: "detached" });
  await Promise.all([phase(anna, "active"), phase(bert, "active")]);
  expect((await entry(tablet)).outcome === "answered-elsewhere", "the other device does not say that it was answered");
});

await step("frames and sound flow both ways", async () => {
  const [one, two] = await flows([anna, bert], { frames: 30, packets: 50 });
  console.log(`   anna ${JSON.stringify(one)}, bert ${JSON.stringify(two)}`);
  await looked(anna, "video");
});

await step("M mutes, and the other side says so", async () => {
  await anna.keyboard.press("m");
  await bert.getByText("anna has muted the microphone").waitFor();
  await anna.keyboard.press("m");
  await bert.getByText("anna has muted the microphone").waitFor({ state: "detached" });
});

await step("V takes the camera away and brings it back", async () => {
  await bert.keyboard.press("v");
  await anna.getByLabel("Picture of bert").waitFor({ state: "detached" });
  await bert.keyboard.press("v");
  await anna.getByLabel("Picture of bert").waitFor();
  await flows([anna], { frames: 10, packets: 10 });
});

await step("a screen is shared beside the camera, and put away", async () => {
  await anna.getByRole("button", { name: "Share your screen" }).click();
  await bert.getByLabel("Screen of anna").waitFor();
  await flows([bert], { frames: 20, packets: 10 });
  await looked(bert, "screen");
  await anna.getByRole("button", { name: "Stop sharing your screen" }).click();
  await bert.getByLabel("Screen of anna").waitFor({ state: "detached" });
  await flows([anna, bert], { frames: 10, packets: 10 });
});

await step("devices are changed while talking", async () => {
  await anna.getByRole("button", { name: "Devices" }).click();
  const dialog = anna.getByRole("dialog", { name: "Devices" });
  await dialog.getByLabel("Camera").selectOption({ index: 1 });
  await looked(anna, "devices");
  await dialog.getByRole("button", { name: "Close" }).click();
  await flows([bert], { frames: 10, packets: 10 });
});

await step("a way that breaks is looked for anew, and the call goes on", async () => {
  const ufrag = (page) => page.evaluate(() => globalThis.ufrag());
  const before = await Promise.all([ufrag(anna), ufrag(bert)]);
  // What the browser says when the network is another; its own detection takes half a minute.
  await anna.evaluate(() => {
    const peer = globalThis.peers.at(-1);
    Object.defineProperty(peer, "connectionState", { configurable: true, get: () => "failed" });
    peer.dispatchEvent(new Event("connectionstatechange"));
    delete peer.connectionState;
  });
  await anna.getByText("Looking for another way").waitFor();
  for (const [page, old] of [
    [anna, before[0]],
    [bert, before[1]],
  ]) {
    await page.waitForFunction((it) => globalThis.ufrag() !== it, old);
  }
  await anna.evaluate(() => globalThis.peers.at(-1).dispatchEvent(new Event("connectionstatechange")));
  await anna.getByText("Looking for another way").waitFor({ state: "detached" });
  await flows([anna, bert], { frames: 10, packets: 10 });
});

await step("hanging up ends it on both sides, and the histories know how long it was", async () => {
  await hangUp(bert, anna);
  for (const page of [anna, bert]) {
    const { outcome, duration } = await entry(page);
    expect(outcome === "answered" && duration > 0, `${outcome} after ${duration} s`);
  }
});

await step("an audio call gets a camera from each side", async () => {
  await bert.getByRole("button", { name: "Call anna" }).click();
  await anna.getByRole("button", { name: "Answer" }).click();
  await Promise.all([phase(anna, "active"), phase(bert, "active")]);
  await flows([anna, bert], { frames: 0, packets: 50 });
  await looked(anna, "audio");
  await anna.getByRole("button", { name: "Turn the camera on" }).click();
  await bert.getByLabel("Picture of anna").waitFor();
  await bert.getByRole("button", { name: "Turn the camera on" }).click();
  await anna.getByLabel("Picture of bert").waitFor();
  await flows([anna, bert], { frames: 20, packets: 10 });
  await hangUp(anna, bert);
});

await step("a call that is declined, and one that is taken back, ring no more", async () => {
  await anna.getByRole("button", { name: "Call bert" }).click();
  await tablet.getByRole("button", { name: "Decline" }).click();
  for (const it of [anna, bert, tablet]) await it.waitForFunction(() => !globalThis.calls.isBusy);
  expect((await entry(anna)).outcome === "declined", "not declined");
  await anna.waitForFunction(() => globalThis.calls.call === undefined);
  await anna.getByRole("button", { name: "Call bert" }).click();
  await bert.getByRole("alertdialog").waitFor();
  await hangUp(anna, bert, tablet);
  expect((await entry(bert)).outcome === "missed", "not missed");
});

await step("two who call each other at once have one call", async () => {
  await Promise.all([
    anna.getByRole("button", { name: "Call bert" }).click(),
    bert.getByRole("button", { name: "Call anna" }).click(),
  ]);
  const answer = (page) => page.getByRole("button", { name: "Answer" }).click({ timeout: 2_000 }).catch(() => undefined);
  // A machine that is busy may let one ring before the other has called.
  await Promise.all([answer(anna), answer(bert)]);
  await Promise.all([phase(anna, "active"), phase(bert, "active")]);
  const sid = (page) => page.evaluate(() => globalThis.calls.call.sid);
  expect((await sid(anna)) === (await sid(bert)), "two calls");
  await hangUp(anna, bert);
});

await step("with a client that does not bundle, every medium has a way of its own", async () => {
  for (const page of [anna, bert, tablet]) await page.close();
  for (const name of Object.keys(pages)) delete pages[name];
  const [one, two] = [await visit("one", "anna", "bert", "unbundled"), await visit("two", "bert", "anna", "unbundled")];
  Object.assign(pages, { one, two });
  await one.getByRole("button", { name: "Video call with bert" }).click();
  await two.getByRole("button", { name: "Answer with video" }).click();
  await Promise.all([phase(one, "active"), phase(two, "active")]);
  await flows([one, two], { frames: 20, packets: 30 });
  const transports = await one.evaluate(() => new Set(globalThis.peers.at(-1).getSenders().map((it) => it.transport)).size);
  expect(transports === 2, `${transports} transports`);
  // The screen takes the camera's place, for such a client knows of one picture.
  await one.getByRole("button", { name: "Share your screen" }).click();
  await one.getByRole("button", { name: "Stop sharing your screen" }).click();
  await flows([one, two], { frames: 10, packets: 10 });
  await hangUp(one, two);
  for (const page of [one, two]) await page.close();
  for (const name of Object.keys(pages)) delete pages[name];
});

if (hasRelay) {
  await step("a call goes through the relay alone", async () => {
    const [one, two] = [await visit("one", "anna", "bert", "relay"), await visit("two", "bert", "anna", "relay")];
    Object.assign(pages, { one, two });
    await one.getByRole("button", { name: "Video call with bert" }).click();
    await two.getByRole("button", { name: "Answer with video" }).click();
    await Promise.all([phase(one, "active"), phase(two, "active")]);
    const [first] = await flows([one, two], { frames: 30, packets: 50 });
    expect(first.relayed > 0, "not relayed");
    await hangUp(one, two);
  });
}

files.close();
await finish();
