// What is encrypted: Explicit Message Encryption, XEP-0380 version 0.4.0.
//
// This client reads none of it yet. The body beside it is a sentence for clients like this one,
// and what is shown says in the reader's own language that there was something.

import { child, children } from "./xml";

const NS_EME = "urn:xmpp:eme:0";
/** What carries encrypted text without saying so: OMEMO in both forms, OpenPGP in both. */
const CARRIERS: readonly (readonly [string, string])[] = [
  ["encrypted", "eu.siacs.conversations.axolotl"],
  ["encrypted", "urn:xmpp:omemo:2"],
  ["openpgp", "urn:xmpp:openpgp:0"],
  ["x", "jabber:x:encrypted"],
];

/** Whether a message's text is encrypted. */
export function isEncrypted(message: Element): boolean {
  if (children(message, "encryption", NS_EME).length > 0) return true;
  return CARRIERS.some(([name, ns]) => child(message, name, ns) !== undefined);
}
