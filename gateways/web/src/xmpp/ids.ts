// Names of messages and of people in rooms: XEP-0359 version 0.7.0 (stanza and origin ids),
// XEP-0421 version 1.0.1 (occupant ids), XEP-0334 version 0.4.0 (hints).

import { normalJid } from "./jid";
import { attr, child, children, el } from "./xml";

/** The namespace of stanza ids. */
export const NS_SID = "urn:xmpp:sid:0";
/** The namespace of occupant ids. */
export const NS_OCCUPANT_ID = "urn:xmpp:occupant-id:0";
/** The namespace of hints. */
export const NS_HINTS = "urn:xmpp:hints";

/** Bytes of an id that are taken for one. */
const ID_CHARS_MAX = 1_024;

/**
 * The id that an archive gave a message. Only what the archive itself said counts (XEP-0359 §6:
 * `by` is who assigned it), which is sure where the archive strips what others claim in its name.
 */
export function stanzaId(message: Element, by: string): string | undefined {
  const ids = children(message, "stanza-id", NS_SID);
  const own = ids.filter((it) => normalJid(attr(it, "by") ?? "") === normalJid(by));
  return shortId(attr(own[0], "id"));
}

/** The id its sender gave it: `origin-id`, else the stanza's own (XEP-0359 §3.2). */
export function originId(message: Element): string | undefined {
  return shortId(attr(child(message, "origin-id", NS_SID), "id"));
}

/** The room's name for the sender. */
export function occupantId(stanza: Element): string | undefined {
  return shortId(attr(child(stanza, "occupant-id", NS_OCCUPANT_ID), "id"));
}

/** An id of reasonable length. */
export function shortId(id: string | undefined): string | undefined {
  return id !== undefined && id.length <= ID_CHARS_MAX ? id : undefined;
}

/** Builds the sender's id. */
export function buildOriginId(id: string): Element {
  return el("origin-id", NS_SID, { id });
}

/** Builds a hint: `store`, `no-store`, `no-copy`, `no-permanent-store`. */
export function buildHint(hint: "store" | "no-store" | "no-copy" | "no-permanent-store"): Element {
  return el(hint, NS_HINTS);
}
