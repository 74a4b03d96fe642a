// Blocking Command: XEP-0191 version 1.3.

import { StanzaError } from "./errors";
import { bareJid } from "./jid";
import type { XmppLink } from "./link";
import { attr, child, children, el, iq } from "./xml";

/** The namespace. */
export const NS_BLOCKING = "urn:xmpp:blocking";

/** Addresses that are read. */
const BLOCKED_MAX = 10_000;

function parseItems(parent: Element | undefined): string[] {
  return children(parent, "item", NS_BLOCKING)
    .slice(0, BLOCKED_MAX)
    .flatMap((it) => attr(it, "jid") ?? [])
    .map(bareJid);
}

/** Fetches who is blocked. */
export async function fetchBlocked(link: XmppLink): Promise<string[]> {
  const answer = await link.iq(iq("get", undefined, el("blocklist", NS_BLOCKING)));
  return parseItems(child(answer, "blocklist", NS_BLOCKING));
}

/** Builds a block, or its end. */
export function buildBlock(what: "block" | "unblock", jid: string): Element {
  return iq("set", undefined, el(what, NS_BLOCKING, {}, el("item", NS_BLOCKING, { jid })));
}

/**
 * Hears what other devices block (§3.5); an end without addresses is the end of all. Only our own
 * account's word counts.
 */
export function onBlocking(link: XmppLink, heed: (what: "block" | "unblock", jids: readonly string[]) => void): () => void {
  return link.answer("set", NS_BLOCKING, (request) => {
    const from = attr(request, "from");
    if (from !== undefined && from !== link.bareJid) throw new StanzaError("service-unavailable");
    const [command] = children(request, "*", NS_BLOCKING);
    if (command?.localName === "block" || command?.localName === "unblock") heed(command.localName, parseItems(command));
    return undefined;
  });
}
