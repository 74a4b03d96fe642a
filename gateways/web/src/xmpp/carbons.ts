// Message Carbons: XEP-0280 version 1.0.1.
//
// Copies of what other devices of ours send and receive. A copy counts only when our own account
// sends it (§11, CVE-2017-5589 and the others like it; row R03): anybody can write a message that
// looks like one.

import { type Forwarded, parseForwarded } from "./forward";
import type { XmppLink } from "./link";
import { attr, children, el, iq } from "./xml";

/** The namespace. */
export const NS_CARBONS = "urn:xmpp:carbons:2";

/** A copy. */
export interface Carbon extends Forwarded {
  readonly direction: "sent" | "received";
}

/** Whether a message claims to be a copy, rightly or not. */
export function isCarbon(message: Element): boolean {
  return children(message, "*", NS_CARBONS).some((it) => it.localName === "sent" || it.localName === "received");
}

/** The copy in a message; nothing unless it comes from `own`, our bare JID, exactly. */
export function parseCarbon(message: Element, own: string): Carbon | undefined {
  if (own === "" || attr(message, "from") !== own) return undefined;
  const wrapper = children(message, "*", NS_CARBONS)[0];
  const direction = wrapper?.localName;
  if (wrapper === undefined || (direction !== "sent" && direction !== "received")) return undefined;
  const forwarded = parseForwarded(wrapper);
  return forwarded && { ...forwarded, direction };
}

/** Asks for copies. */
export async function enableCarbons(link: XmppLink): Promise<void> {
  await link.iq(iq("set", undefined, el("enable", NS_CARBONS)));
}
