// Somebody with many contacts, and somebody with a long history besides, for suites that look at what
// that costs.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { command, work } from "./server.mjs";

export const CONTACTS = 100;
export const MESSAGES = 10_000;

/** Accounts as another server would hand them over (XEP-0227): anna knows a hundred, and has talked with one. */
function accounts() {
  const names = Array.from({ length: CONTACTS }, (_, at) => `friend${at}`);
  const item = (name) => `<item jid='${name}@localhost' name='${name.replace("f", "F")}' subscription='both'><group>Friends</group></item>`;
  const roster = `<query xmlns='jabber:iq:roster'>${names.map(item).join("")}</query>`;
  const begin = Date.UTC(2026, 0, 5, 8);
  const result = (at) => {
    const [from, to] = at % 3 === 0 ? ["anna@localhost/a", "friend0@localhost"] : ["friend0@localhost/a", "anna@localhost"];
    const stamp = new Date(begin + at * 1_200_000).toISOString();
    return `<result xmlns='urn:xmpp:mam:2' id='${at}'><forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='${stamp}'/><message xmlns='jabber:client' from='${from}' to='${to}' type='chat' id='m-${at}'><body>Message ${at} ${"of some length ".repeat(at % 7)}</body></message></forwarded></result>`;
  };
  const archive = Array.from({ length: MESSAGES }, (_, at) => result(at)).join("\n");
  const user = (name, rest) => `<user name='${name}' password='password-of-${name}'>${rest}</user>`;
  const reader = user("reader", `${roster}<archive xmlns='urn:xmpp:pie:0#mam'>${archive.replaceAll("anna@", "reader@")}</archive>`);
  return `<server-data xmlns='urn:xmpp:pie:0'><host jid='localhost'>${user("anna", roster)}${reader}</host></server-data>`;
}

/** Makes the accounts `anna` and `reader`; the server is not running yet. */
export function importAccounts() {
  const file = join(work, "accounts.xml");
  writeFileSync(file, accounts());
  command("import", file);
}
