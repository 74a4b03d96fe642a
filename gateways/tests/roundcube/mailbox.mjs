// A real webmail for the suite: dovecot and Roundcube as rc-up.sh starts them, with the plugin and
// somebody's mail. KLATSCH_LAB: where rc-up.sh is.

import { spawnSync } from "node:child_process";
import { appendFileSync, chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { expect, until } from "../web/steps.mjs";

/** The two that rc-up.sh knows. */
export const JOHN = { address: "john.doe@example.org", password: "doe-secret" };
export const JANE = { address: "jane.poe@example.org", password: "poe-secret" };

const folder = mkdtempSync(join(tmpdir(), "klatsch-webmail."));
chmodSync(folder, 0o755);
const home = join(folder, "rc");
const asWebmail = ["setpriv", "--reuid", "www-data", "--regid", "www-data", "--clear-groups"];

function run(words, options = {}) {
  const { status, stderr, stdout } = spawnSync(words[0], words.slice(1), { encoding: "utf8", ...options });
  expect(status === 0, `${words.join(" ")}: ${stderr || stdout}`);
  return stdout;
}

/** A port that nobody listens at. */
function freePort() {
  return new Promise((done, fail) => {
    const server = createServer();
    server.once("error", fail);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

const [imap, http, chat] = [await freePort(), await freePort(), await freePort()];
export const MAIL = `http://127.0.0.1:${http}`;

/** Where browsers find klatsch: of the webmail's site, for frames of another are refused their storage. */
export const CHAT = `http://127.0.0.1:${chat}`;

/** Hands that on to where klatsch listens, while it does. */
const handOn = createServer();
export function forward(host, port) {
  handOn.on("connection", (socket) => {
    const on = connect(port, host);
    for (const [one, other] of [[socket, on], [on, socket]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
      one.pipe(other);
    }
  });
  return new Promise((done) => handOn.listen(chat, "127.0.0.1", done));
}

/** Starts it, with a klatsch at an origin. */
export function startMail(origin) {
  run(["install", "-d", "-o", "www-data", home]);
  run([...asWebmail, "bash", join(process.env.KLATSCH_LAB, "rc-up.sh"), home], {
    env: { ...process.env, IMAP_PORT: `${imap}`, HTTP_PORT: `${http}`, RC_PLUGINS: "'klatsch'" },
    stdio: "ignore",
  });
  const settings = { klatsch_url: origin, klatsch_public_url: CHAT };
  for (const [name, value] of Object.entries(settings)) appendFileSync(join(home, "rc/config/config.inc.php"), `$config['${name}'] = '${value}';\n`);
}

/** Puts a mail into John's inbox. */
export function deliver({ from, to = `John Doe <${JOHN.address}>`, subject, text, at }) {
  const box = join(home, "mail", JOHN.address);
  for (const name of ["new", "cur", "tmp"]) run([...asWebmail, "mkdir", "-p", join(box, name)]);
  const file = join(box, "tmp", `${at.getTime()}.${subject.replace(/\W/g, "")}.test`);
  const lines = [`From: ${from}`, `To: ${to}`, `Subject: ${subject}`, `Date: ${at.toUTCString()}`, `Message-ID: <${at.getTime()}@example.org>`];
  writeFileSync(file, [...lines, "Content-Type: text/plain; charset=utf-8", "", text, ""].join("\r\n"));
  run(["chown", "www-data:", file]);
  run(["mv", file, join(box, "new")]);
}

/** Waits until dovecot has all of them: two sessions at once would share the work of finding them. */
export async function settle(count) {
  const ask = () => run(["curl", "-sS", `imap://127.0.0.1:${imap}/INBOX`, "-u", `${JOHN.address}:${JOHN.password}`, "-X", "SEARCH ALL"]);
  await until(() => (/SEARCH(.*)/.exec(ask())?.[1] ?? "").trim().split(/\s+/).filter(Boolean).length === count, "the mails are there");
}

// Roundcube may be writing at that moment.
const sql = (text) => run([...asWebmail, "sqlite3", "-cmd", ".timeout 10000", join(home, "rc/rc.db"), text]);

/** Sets the language that John's settings name from now on. */
export const setLanguage = (language) => sql(`UPDATE users SET language = '${language}'`);

/** Puts somebody into John's address book, once he has logged in. */
export function addContact(name, address, more = "") {
  const card = `BEGIN:VCARD\nVERSION:3.0\nN:${name};;;;\nFN:${name}\nEMAIL:${address}\n${more}END:VCARD`;
  sql(`INSERT INTO contacts (user_id, changed, name, email, vcard) SELECT user_id, datetime('now'), '${name}', '${address}', '${card}' FROM users`);
}

/** What PHP complained of. */
export function complaintsOfPhp() {
  const log = join(home, "rc/logs/errors.log");
  const all = `${existsSync(log) ? readFileSync(log, "utf8") : ""}\n${readFileSync(join(home, "php.log"), "utf8")}`;
  return all.split("\n").filter((line) => /klatsch/i.test(line) && /PHP|Error|Warning|Deprecated/.test(line) && !/(GET|POST) /.test(line));
}

/** Ends what was started, by its ids. */
export async function stopMail() {
  const id = (name) => (existsSync(join(home, name)) ? Number(readFileSync(join(home, name), "utf8")) : 0);
  const signal = (pid, what) => {
    try {
      return pid !== 0 && process.kill(pid, what);
    } catch {
      return false; // it has ended
    }
  };
  // PHP's workers survive their parent: the group.
  for (const pid of [-id("php.pid"), id("dove/master.pid")]) {
    signal(pid, "SIGTERM");
    await until(() => !signal(pid, 0), "the webmail ends");
  }
  handOn.close();
  if (process.env.KLATSCH_WEB_KEEP !== "1") rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}
mkdirSync(home, { recursive: true });
