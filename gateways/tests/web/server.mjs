// A real klatsch for a suite: on a loopback address of its own, with a folder of its own.
//
// KLATSCH_BIN: the server; else the one in target/debug. KLATSCH_WEB_KEEP=1 keeps its data.
// KLATSCH_WEB_SCHEME: http, or https (over_tls.mjs).

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { expect, until } from "./steps.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
export const WEB = join(here, "../../web");

const KLATSCH = process.env.KLATSCH_BIN ?? join(here, "../../../target/debug/klatsch");
/** Whether the server is reached over TLS. */
export const IS_ENCRYPTED = process.env.KLATSCH_WEB_SCHEME === "https";
const PORT = IS_ENCRYPTED ? 5443 : 5280;
/** Names from 127.0.0.0/8 are secure contexts: no certificate is needed here. */
export const ADDRESS = `127.${[1, 2, 3].map(() => 2 + Math.floor(Math.random() * 248)).join(".")}`;
export const ORIGIN = `http${IS_ENCRYPTED ? "s" : ""}://${ADDRESS}:${PORT}`;
export const work = mkdtempSync(join(tmpdir(), "klatsch-web."));

const config = join(work, "klatsch.toml");
const settings = {
  listen: {
    c2s: "off",
    c2s_tls: "off",
    s2s: "off",
    s2s_tls: "off",
    component: "off",
    http: IS_ENCRYPTED ? "off" : `${ADDRESS}:${PORT}`,
    https: IS_ENCRYPTED ? `${ADDRESS}:${PORT}` : "off",
    metrics: "off",
    stun: "off",
  },
  upload: { url: `${ORIGIN}/upload` },
  web: { folder: join(WEB, "dist") },
};

/** Writes the settings: those of every suite, and these, by table and name. */
export function configure(more = {}, domains = ["localhost"]) {
  for (const [table, values] of Object.entries(more)) settings[table] = { ...settings[table], ...values };
  const lines = Object.entries(settings).map(([table, values]) =>
    [`[${table}]`, ...Object.entries(values).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)].join("\n"),
  );
  writeFileSync(config, [`domains = ${JSON.stringify(domains)}`, ...lines, ""].join("\n"));
}
configure();

/** Runs a command of the server's; what it says. */
export function command(...words) {
  const { status, stdout, stderr } = spawnSync(KLATSCH, [...words, "--config", config, "--data", join(work, "data")]);
  expect(status === 0, `klatsch ${words.join(" ")}: ${stderr}`);
  return `${stdout}`;
}

/** Makes accounts @localhost with the passwords password-of-NAME. */
export function addAccounts(...names) {
  for (const name of names) command("user", "add", `${name}@localhost`, "--password", `password-of-${name}`);
}

let server;
let log = "";
export const serverLog = () => log;

export async function startServer() {
  server = spawn(KLATSCH, ["serve", "--config", config, "--data", join(work, "data")], { stdio: ["ignore", "ignore", "pipe"] });
  server.stderr.on("data", (data) => (log += data));
  await until(async () => {
    expect(server.exitCode === null, `the server did not start: ${log}`);
    return isListening(PORT);
  }, "the server listens");
}

export async function stopServer(signal = "SIGTERM") {
  if (!server || server.exitCode !== null || server.signalCode !== null) return;
  const ended = new Promise((done) => server.once("exit", done));
  server.kill(signal);
  await ended;
}

function isListening(port) {
  return new Promise((done) => {
    const socket = connect(port, ADDRESS, () => (socket.destroy(), done(true)));
    socket.on("error", () => done(false));
  });
}

/** Takes the folder away. */
export function clean() {
  if (process.env.KLATSCH_WEB_KEEP !== "1") rmSync(work, { recursive: true, force: true });
}
