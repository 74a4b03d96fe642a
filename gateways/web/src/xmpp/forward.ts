// Stanza Forwarding: XEP-0297 version 1.0; Delayed Delivery: XEP-0203 version 2.0.

import { attr, child, NS_CLIENT } from "./xml";

/** The namespace of forwarded stanzas. */
export const NS_FORWARD = "urn:xmpp:forward:0";
/** The namespace of delays. */
export const NS_DELAY = "urn:xmpp:delay";

/** A stanza that somebody hands on. */
export interface Forwarded {
  readonly message: Element;
  /** When it was sent, milliseconds since 1970. */
  readonly at: number | undefined;
}

/** Reads the forwarded message in an element. */
export function parseForwarded(parent: Element): Forwarded | undefined {
  const forwarded = child(parent, "forwarded", NS_FORWARD);
  const message = child(forwarded, "message", NS_CLIENT);
  if (forwarded === undefined || message === undefined) return undefined;
  return { message, at: parseDelay(forwarded) };
}

/** The moment of an element's delay, milliseconds since 1970. */
export function parseDelay(parent: Element): number | undefined {
  return parseTime(attr(child(parent, "delay", NS_DELAY), "stamp"));
}

/** XEP-0082 §3.2. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/;

/** Reads a DateTime (XEP-0082); what is none, or is no moment, is `undefined` (row X20). */
export function parseTime(text: string | undefined): number | undefined {
  if (text === undefined || !DATE_TIME.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) || at < 0 ? undefined : at;
}
