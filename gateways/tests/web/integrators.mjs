// The page for integrators: the lines of ops/docs/channels.md, taken from there as they stand and
// run in Chromium, on a page of another origin, against a server for example.org with TLS.
//
//   node gateways/tests/web/integrators.mjs
//
// Environment: KLATSCH_BIN, CHROMIUM; KLATSCH_PHOENIX, the folder of the npm package phoenix.
// Chromium is told where chat.example.org is; nothing else about the lines is made up. Prints
// PASS and FAIL lines; exits non-zero on any FAIL.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const { chromium } = await import(join(here, "../../web/node_modules/playwright-core/index.mjs"));
const KLATSCH = process.env.KLATSCH_BIN ?? join(here, "../../../target/debug/klatsch");
const PHOENIX = join(process.env.KLATSCH_PHOENIX, "priv/static/phoenix.mjs");
const STEP_MS = 30_000;
const ADDRESS = `127.${[1, 2, 3].map(() => 2 + Math.floor(Math.random() * 248)).join(".")}`;
const work = mkdtempSync(join(tmpdir(), "klatsch-integrators."));

// --- the lines ---

const text = readFileSync(join(here, "../../../ops/docs/channels.md"), "utf8");
const [ten, board] = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);

/** The page of an integrator: what the lines take for given, and the lines. */
const page = ({ name, token }) => `<!doctype html><meta charset="utf-8"><title>${name}</title>
<ul id="people"></ul><ol id="lines"></ol><form id="form"><input name="text"></form>
<canvas id="canvas" width="200" height="200"></canvas><p id="drawn"></p>
<script type="importmap">{ "imports": { "phoenix": "/phoenix.mjs" } }</script>
<script>
  const TOKEN = ${JSON.stringify(token)}, NAME = ${JSON.stringify(name)};
  const item = (of, text) => of.append(Object.assign(document.createElement("li"), { textContent: text }));
  const showPeople = (names) => { people.replaceChildren(); names.sort().forEach((name) => item(people, name)); };
  const showLine = (line) => item(lines, line);
  const draw = (bytes) => (drawn.textContent = [...bytes].join(" "));
</script>`;
const script = (code) => `<script type="module">${code}</script>`;

// --- the page's server, of another origin than the chat's ---

const people = {};
const served = createServer((request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://page");
  const who = people[searchParams.get("name")];
  const [type, body] = {
    "/phoenix.mjs": ["text/javascript", readFileSync(PHOENIX)],
    "/room": ["text/html", who && page(who) + script(ten)],
    "/board": ["text/html", who && page(who) + script(ten.split("\n").slice(0, 3).join("\n") + "\n" + board)],
  }[pathname] ?? ["text/plain", ""];
  response.writeHead(body ? 200 : 404, { "content-type": type }).end(body);
});
await new Promise((listening) => served.listen(0, ADDRESS, listening));
const SITE = `http://${ADDRESS}:${served.address().port}`;

// --- the chat server ---

const config = join(work, "klatsch.toml");
const off = ["c2s", "c2s_tls", "s2s", "s2s_tls", "component", "http", "metrics", "stun"].map((it) => `${it} = "off"`);
writeFileSync(
  config,
  `domains = ["example.org"]
[listen]
${off.join("\n")}
https = "${ADDRESS}:5443"
[channels]
allowed_origins = ["${SITE}"]
`,
);
const run = (...more) => {
  const { status, stdout, stderr } = spawnSync(KLATSCH, ["--config", config, "--data", join(work, "data"), ...more]);
  if (status !== 0) throw new Error(`klatsch ${more.join(" ")}: ${stderr}`);
  return `${stdout}`;
};
let log = "";
const names = { alice: "Alice", bob: "Bob" };
for (const account of Object.keys(names)) run("user", "add", `${account}@example.org`, "--password", `password-of-${account}`);
const server = spawn(KLATSCH, ["--config", config, "--data", join(work, "data"), "serve"], { stdio: ["ignore", "ignore", "pipe"] });
server.stderr.on("data", (data) => (log += data));
const isListening = () =>
  new Promise((done) => {
    const socket = connect(5443, ADDRESS, () => (socket.destroy(), done(true)));
    socket.on("error", () => done(false));
  });
const end = Date.now() + STEP_MS;
while (!(await isListening())) {
  if (server.exitCode !== null || Date.now() > end) throw new Error(`the server did not start: ${log}`);
  await new Promise((done) => setTimeout(done, 100));
}
const token = (account, ...more) => run("token", "create", `${account}@example.org`, ...more).split("\n")[0];
for (const [account, name] of Object.entries(names)) {
  people[account] = { name, token: token(account, "--name", "page") };
  people[`${account}-board`] = { name, token: token(account, "--name", "board", "--app", "board") };
}

// --- two people ---

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox", // there is none in a container, and nothing foreign is opened
    "--disable-dev-shm-usage",
    "--disable-gpu",
    `--host-resolver-rules=MAP chat.example.org ${ADDRESS}`,
    "--ignore-certificate-errors", // the server has signed its own
  ],
});
let failed = 0;
const visit = async (path, who) => {
  const seen = await (await browser.newContext()).newPage();
  seen.setDefaultTimeout(STEP_MS);
  seen.on("console", (message) => console.log(`${who}: ${message.text()}`));
  seen.on("pageerror", (error) => {
    failed += 1;
    console.log(`FAIL integrators: ${who}'s page: ${error.message}`);
  });
  await seen.goto(`${SITE}${path}?name=${who}`);
  return seen;
};
const line = (seen, text) => seen.locator("#lines li", { hasText: text }).waitFor();
const person = (seen, name) => seen.locator("#people li", { hasText: name });

async function step(name, work) {
  if (failed) return;
  const begin = performance.now();
  try {
    await work();
    console.log(`PASS integrators: ${name} (${((performance.now() - begin) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL integrators: ${name}: ${error.message}\n${error.stack}`);
  }
}

await step("there are ten lines", async () => {
  const count = ten.trim().split("\n").length;
  if (count !== 10) throw new Error(`${count} lines`);
});

await step("ten lines are presence and a room", async () => {
  const alice = await visit("/room", "alice");
  await person(alice, "Alice").waitFor();
  const bob = await visit("/room", "bob");
  for (const seen of [alice, bob]) for (const name of ["Alice", "Bob"]) await person(seen, name).waitFor();
  await alice.locator("#form input").fill("Hello <b>there</b>");
  await alice.locator("#form input").press("Enter");
  for (const seen of [alice, bob]) await line(seen, "Alice: Hello <b>there</b>");
  // It is kept, so the form is empty again, and the page is still the same.
  await alice.waitForFunction(() => form.text.value === "");
  await bob.close();
  await person(alice, "Bob").waitFor({ state: "detached" });
  const again = await visit("/room", "bob");
  await line(again, "Alice: Hello <b>there</b>");
  await again.close();
  await alice.close();
});

await step("a topic of an app has presence and bytes", async () => {
  const [alice, bob] = [await visit("/board", "alice-board"), await visit("/board", "bob-board")];
  for (const seen of [alice, bob]) for (const name of ["Alice", "Bob"]) await person(seen, name).waitFor();
  await alice.locator("#canvas").hover({ position: { x: 17, y: 42 } });
  for (const seen of [alice, bob]) await seen.locator("#drawn", { hasText: "17 42" }).waitFor();
});

await step("a page of another origin is not let in", async () => {
  const closed = await (await browser.newContext()).newPage();
  await closed.setContent("<title>elsewhere</title>");
  const outcome = await closed.evaluate(
    (token) =>
      new Promise((done) => {
        const socket = new WebSocket(`wss://chat.example.org:5443/channels/websocket?vsn=2.0.0&token=${token}`);
        socket.onopen = () => done("open");
        socket.onerror = () => done("shut");
      }),
    people.alice.token,
  );
  if (outcome !== "shut") throw new Error(`it is ${outcome}`);
});

await browser.close();
served.close();
if (server.exitCode === null) {
  const ended = new Promise((done) => server.once("exit", done));
  server.kill();
  await ended;
}
if (/panicked at/.test(log)) {
  failed += 1;
  console.log("FAIL integrators: the server panicked");
}
if (failed) console.log(log.split("\n").slice(-20).join("\n"));
rmSync(work, { recursive: true, force: true });
process.exit(failed ? 1 : 0);
